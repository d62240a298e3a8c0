// Why a moment was found: the score of each of its frames, and for some models the best frame of each word.

import { element } from './elements.js';
import { frameAddress } from './server.js';
import { clock } from './times.js';

const LOWEST = 0.12; // height of the lowest bar, so that it is seen

/** A film strip with a bar for the score of each frame; `go(time)` is called when one is chosen. */
export function reasons(answer, query, { frames, words }, go) {
  const scores = frames.map((frame) => frame.score);
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  const height = (score) => (high > low ? LOWEST + ((1 - LOWEST) * (score - low)) / (high - low) : 1);
  const columns = frames.map(({ time, score }) =>
    element('li', {},
      element('button', {
        type: 'button', class: score === high ? 'frame best' : 'frame', onclick: () => go(time),
        'aria-label': `${clock(time)}, score ${score.toFixed(3)}${score === high ? ', the highest' : ''}`,
      },
        element('img', { src: frameAddress(answer.id, time, 96), alt: '' }),
        element('span', { class: 'column', '--height': height(score) }),
        element('span', { class: 'value' }, score.toFixed(3)),
        element('span', { class: 'when' }, clock(time)))));
  return element('figure', { class: 'reasons' },
    element('figcaption', {}, 'How well each frame fits ', element('q', {}, query),
      high > low ? '. Bars go from the lowest score to the highest.' : '.'),
    element('ol', { class: 'frames', role: 'list', tabindex: '-1' }, ...columns),
    words?.length ? wordList(words, frames, columns, go) : null);
}

/** Each word of the query with its best frame; the frame lights up with the word. */
function wordList(words, frames, columns, go) {
  const items = words.map(({ word, frame, score }) => {
    const light = (lit) => () => columns[frame]?.classList.toggle('lit', lit);
    const time = frames[frame]?.time ?? 0;
    return element('li', {},
      element('button', {
        type: 'button', class: 'word', onclick: () => go(time),
        onpointerenter: light(true), onpointerleave: light(false), onfocus: light(true), onblur: light(false),
        'aria-label': `${word}: best frame ${clock(time)}, score ${score.toFixed(3)}`,
      }, word, element('small', {}, clock(time))));
  });
  return element('div', { class: 'words' },
    element('p', {}, 'The best frame of each word:'),
    element('ul', { role: 'list' }, ...items));
}
