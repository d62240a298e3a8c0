// What the page says: how many answers there are, what went wrong, and what to do when there is nothing to show.

import { element } from './elements.js';
import { isFiltered } from './state.js';

const part = (name) => document.querySelector(`#${name}`);

/** Say how the search goes; screen readers say it too. */
export const say = (text) => { part('count').textContent = text; };

export const said = () => part('count').textContent;

export function summary({ answers, more, seconds }) {
  if (!answers.length) return 'No answers';
  const number = answers.length === 1 ? '1 answer' : `${answers.length} answers`;
  const time = seconds < 1 ? `${Math.max(1, Math.round(1000 * seconds))} ms` : `${seconds.toFixed(1)} s`;
  return `${more ? `The best ${number}` : number}, in ${time}`;
}

/** Show what went wrong, with a button that tries again if there is something to try; `null` takes it away. */
export function complain(fault, again = null) {
  const retry = () => { complain(null); again(); };
  const button = again && element('button', { type: 'button', class: 'quiet', onclick: retry }, 'Try again');
  part('error').replaceChildren(...[fault && element('p', {}, fault.message), fault && button].filter(Boolean));
}

/** Explain the empty page; `about` is what the server says of the index, or null. */
export function welcome(about) {
  const number = about ? `${about.videos.toLocaleString('en')} ${about.videos === 1 ? 'video' : 'videos'}` : 'your videos';
  part('title').textContent = `Find a moment in ${number}`;
  part('empty').replaceChildren(
    element('p', {}, 'Say what happens, in a sentence. The answers play from the moment that fits best.'),
    element('p', {}, 'Or drop a picture or a clip, and add words: a photo of a beach with ', element('q', {}, 'at night'), '.'));
  part('empty').hidden = false;
}

export function explainNothing(question) {
  part('empty').replaceChildren(
    element('h2', {}, 'Nothing found'),
    element('p', {}, isFiltered(question)
      ? 'No video of the index passes the filters. Clear them, or allow other lengths and folders.'
      : 'There is no other video in the index. mmclip4clip index FOLDER adds some.'));
  part('empty').hidden = false;
}

export const hideEmpty = () => { part('empty').hidden = true; };
