// Make elements. Strings become text, never markup, so that names of files and queries are shown as they are.

const SVG = 'http://www.w3.org/2000/svg';

/** An element with properties (class, aria-label, onclick, ...) and children, which are nodes or strings. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (name.startsWith('--')) made.style.setProperty(name, value);
    else made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** An icon of 24 units, drawn by the path of an SVG; decoration, so screen readers skip it. */
export function icon(path) {
  const drawing = document.createElementNS(SVG, 'svg');
  drawing.setAttribute('viewBox', '0 0 24 24');
  drawing.setAttribute('aria-hidden', 'true');
  const line = document.createElementNS(SVG, 'path');
  line.setAttribute('d', path);
  drawing.append(line);
  return drawing;
}

export const ICONS = {
  close: 'M6 6l12 12M18 6L6 18',
  play: 'M8 5.500v13l10.500-6.500z',
  pause: 'M8.500 5.500v13M15.500 5.500v13',
  sound: 'M5 9.500v5h3.500L13 18.500v-13L8.500 9.500zM16.500 9a4 4 0 0 1 0 6M18.800 6.500a8 8 0 0 1 0 11',
  muted: 'M5 9.500v5h3.500L13 18.500v-13L8.500 9.500zM16.500 9.500l5 5M21.500 9.500l-5 5',
  full: 'M4.500 9.500v-5h5M14.500 4.500h5v5M19.500 14.500v5h-5M9.500 19.500h-5v-5',
  back: 'M5 5v14M19 5.500v13L8.500 12z',
  previous: 'M15 5.500L8.500 12l6.500 6.500',
  next: 'M9 5.500l6.500 6.500L9 18.500',
};
