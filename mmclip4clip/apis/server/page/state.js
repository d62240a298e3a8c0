// A question as a value, and as the query part of the page's address, so that a search is a link.
//
//   text    words, or an expression as on the command line
//   files   uploads: [{token, kind, weight, name}]
//   like    a moment that the answers resemble: {id, start, end, name}, or null
//   kind    '' best moment of each video, 'all' moments, 'whole' videos
//   folder, min, max    filters, '' if unset; min and max in seconds

const FILTERS = ['kind', 'folder', 'min', 'max'];

export const EMPTY = Object.freeze({ text: '', files: [], like: null, kind: '', folder: '', min: '', max: '' });

export const isEmpty = (question) => !question.text && !question.files.length && !question.like;

export const isFiltered = (question) => FILTERS.some((name) => name !== 'kind' && question[name] !== '');

/** Split at the first commas; the last part, a name, may have more of them. */
function split(text, parts) {
  const pieces = text.split(',');
  return [...pieces.slice(0, parts - 1), pieces.slice(parts - 1).join(',')];
}

const seconds = (text) => (text === '' || Number.isNaN(Number(text)) ? null : Number(text));

export function writeAddress(question, playing = null) {
  const query = new URLSearchParams();
  if (question.text) query.set('q', question.text);
  for (const { token, kind, weight, name } of question.files) query.append('file', [token, kind, weight, name].join());
  const { like } = question;
  if (like) query.set('like', [like.id, like.start ?? '', like.end ?? '', like.name].join());
  for (const name of FILTERS) if (question[name] !== '') query.set(name, question[name]);
  if (playing) query.set('play', [playing.id, playing.start ?? ''].join());
  return query.size ? `?${query}` : location.pathname;
}

export function readAddress(search) {
  const query = new URLSearchParams(search);
  const question = { ...EMPTY, text: query.get('q') ?? '' };
  question.files = query.getAll('file').map((text) => {
    const [token, kind, weight, name] = split(text, 4);
    return { token, kind, weight: Number(weight) || 1, name };
  });
  if (query.has('like')) {
    const [id, start, end, name] = split(query.get('like'), 4);
    question.like = { id, start: seconds(start), end: seconds(end), name };
  }
  for (const name of FILTERS) question[name] = query.get(name) ?? '';
  return question;
}

/** The moment that an address plays, {id, start}, or null. */
export function readPlaying(search) {
  const text = new URLSearchParams(search).get('play');
  if (text === null) return null;
  const [id, start] = split(text, 2);
  return { id, start: seconds(start) };
}

/** The filters of a question as the server takes them. */
export function filtersOf(question) {
  const filters = { whole: question.kind === 'whole', all_moments: question.kind === 'all' };
  if (question.folder) filters.folder = question.folder;
  if (question.min !== '') filters.min_duration = Number(question.min);
  if (question.max !== '') filters.max_duration = Number(question.max);
  return filters;
}
