// Images and videos that come by dropping, choosing or pasting.

import { ServerError, upload } from './server.js';

/** Pictures of uploads by token, to show them in the form; gone with the page. */
export const thumbnails = new Map();

async function thumbnail(file) {
  if (!file.type.startsWith('image/')) return null;
  try {
    const picture = await createImageBitmap(file, { resizeHeight: 56 });
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [picture.width, picture.height];
    canvas.getContext('2d').drawImage(picture, 0, 0);
    return canvas;
  } catch {
    return null; // the server says what it thinks of the file
  }
}

/** Send a file to the server unless it has too many bytes; resolves to {token, kind, weight, name}. */
export async function send(file, mostBytes = Infinity) {
  const size = (bytes) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  if (file.size > mostBytes) {
    throw new ServerError(`${file.name} has ${size(file.size)}, and the server takes files of ${size(mostBytes)} at most.`);
  }
  const [picture, { token, kind }] = await Promise.all([thumbnail(file), upload(file)]);
  if (picture) thumbnails.set(token, picture);
  return { token, kind, weight: 1, name: file.name };
}

/** Call `take(files)` for files that are dropped anywhere, pasted, or chosen by the button. */
export function collectFiles(take) {
  const overlay = document.querySelector('#drop');
  const input = document.querySelector('#file');
  let depth = 0; // dragenter and dragleave come for every element on the way

  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes('Files');
  const show = (shown) => { overlay.hidden = !shown; };

  document.addEventListener('dragenter', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth += 1;
    show(true);
  });
  document.addEventListener('dragover', (event) => { if (hasFiles(event)) event.preventDefault(); });
  document.addEventListener('dragleave', (event) => {
    if (!hasFiles(event)) return;
    depth = Math.max(0, depth - 1);
    show(depth > 0);
  });
  document.addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    show(false);
    take([...event.dataTransfer.files]);
  });
  document.addEventListener('paste', (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    take(files);
  });
  document.querySelector('#choose').addEventListener('click', () => input.click());
  input.addEventListener('change', () => {
    take([...input.files]);
    input.value = ''; // the same file may be chosen again
  });
}
