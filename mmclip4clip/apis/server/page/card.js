// One answer in the grid.

import { element } from './elements.js';
import { frameAddress } from './server.js';
import { bounds, clock, range, share, spokenRange } from './times.js';
import { previewOn } from './preview.js';

/**
 * A list item for an answer.
 *
 * `best` is the highest score of all answers, for the length of the bar; `actions` are the functions `open(answer)`,
 * `why(answer)` and `similar(answer)`; an action that is null has no button.
 */
export function card(answer, best, actions) {
  const [start, end] = bounds(answer);
  const name = `${answer.name}, ${spokenRange(answer)}`;
  const picture = element('img', {
    src: frameAddress(answer.id, (start + end) / 2),
    alt: '', loading: 'lazy', decoding: 'async',
    onerror: () => media.classList.add('without-picture'),
  });
  const media = element(
    'button',
    { type: 'button', class: 'media', 'aria-label': `Play ${name}`, onclick: () => actions.open(answer) },
    picture,
    element('span', { class: 'time' }, range(answer)),
    element('span', {
      class: 'place', 'aria-hidden': 'true',
      '--from': share(start, answer.duration), '--to': share(end, answer.duration),
    }),
  );
  previewOn(media, answer);
  const button = (text, action) =>
    action && element(
      'button',
      { type: 'button', class: 'small', 'aria-label': `${text}: ${name}`, onclick: () => action(answer) },
      text,
    );
  return element(
    'li',
    { class: 'card', 'data-id': answer.id },
    media,
    element('div', { class: 'text' },
      element('p', { class: 'name', title: `${answer.folder}/${answer.name}` }, answer.name),
      element('p', { class: 'facts' }, meter(answer.score, best), element('span', {}, `of ${clock(answer.duration)}`)),
      element('p', { class: 'actions' }, button('Similar', actions.similar), button('Why', actions.why))),
  );
}

/** A score with a bar beside it, which is full for the best answer. */
function meter(score, best) {
  const part = best > 0 ? Math.max(0, score / best) : 0;
  return element('span', { class: 'score' },
    element('span', { class: 'bar', 'aria-hidden': 'true', '--share': part }),
    element('span', { class: 'unseen' }, 'Score '), score.toFixed(3));
}
