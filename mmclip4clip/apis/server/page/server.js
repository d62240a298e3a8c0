// Requests to the server that sent this page. Addresses are relative, so the page also works below a path.

/** What the server, or the way to it, says is wrong, in words for people. */
export class ServerError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (fault) {
    if (fault.name === 'AbortError') throw fault;
    throw new ServerError('The server does not answer. Is mmclip4clip serve still running?');
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  const message = body?.error?.message ?? `The server failed (${response.status}).`;
  throw new ServerError(message, response.status);
}

function post(path, content, signal) {
  const headers = { 'Content-Type': 'application/json' };
  return request(path, { method: 'POST', headers, body: JSON.stringify(content), signal });
}

export const info = () => request('info');
export const search = (question, signal) => post('search', question, signal);
export const similar = (question, signal) => post('similar', question, signal);
export const caption = (moment, signal) => post('caption', moment, signal);
export const why = (question, signal) => post('why', question, signal);

export function upload(file) {
  const form = new FormData();
  form.append('file', file);
  return request('uploads', { method: 'POST', body: form });
}

/** The address of a video, of one of its frames, or of frames side by side. */
export const videoAddress = (id) => `videos/${encodeURIComponent(id)}`;

export function frameAddress(id, time, height = 180) {
  return `${videoAddress(id)}/frame?${new URLSearchParams({ time: time.toFixed(3), height })}`;
}

export function stripAddress(id, [start, end], frames = 6, height = 120) {
  const range = { start: start.toFixed(3), end: end.toFixed(3), frames, height };
  return `${videoAddress(id)}/strip?${new URLSearchParams(range)}`;
}

/** What identifies a moment in requests. */
export function momentOf({ id, start, end }) {
  return start === null ? { id } : { id, start, end };
}
