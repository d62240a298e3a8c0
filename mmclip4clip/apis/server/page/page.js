// The page: what was asked is in the address, so that links, back and forward work; the rest follows from it.

import { complain, explainNothing, hideEmpty, said, say, summary, welcome } from './messages.js';
import { Player } from './player.js';
import { Results } from './results.js';
import { SearchForm } from './search_form.js';
import * as server from './server.js';
import { EMPTY, filtersOf, isEmpty, readAddress, readPlaying, writeAddress } from './state.js';
import { collectFiles, send } from './uploads.js';

const STEP = 24; // answers at first
const VISITS = 20; // earlier searches whose answers are kept for the back button

const part = (name) => document.querySelector(`#${name}`);
const visits = new Map(); // the answers of a search by the number in the browser's history
let visit = 0;
let question = EMPTY;
let running = null; // what aborts the search that runs

const cardActions = {
  open: (answer) => openPlayer(answer, false),
  similar: (answer) => askSimilar(answer),
  why: null,
};
const results = new Results(cardActions, fetchNext);
const form = new SearchForm(ask);
const player = new Player({
  closed: closedPlayer,
  step: (by) => stepPlayer(by),
  similar: (answer) => askSimilar(answer),
  query: () => question.text,
});

// Searching -------------------------------------------------------------------------------------------------------

function ask(next) {
  keepVisit();
  visit = Date.now();
  history.pushState({ visit }, '', writeAddress(next));
  show(next);
  window.scrollTo({ top: 0, behavior: 'instant' });
  return run();
}

function askSimilar({ id, start, end, name }) {
  const { kind, folder, min, max } = question;
  leaveQuietly();
  ask({ ...EMPTY, kind, folder, min, max, like: { id, start, end, name } });
  part('results').focus({ preventScroll: true });
}

function fetchAnswers(offset, top, signal) {
  const options = { ...filtersOf(question), offset, top };
  if (question.like) return server.similar({ ...server.momentOf(question.like), ...options }, signal);
  const uploads = question.files.map(({ token, weight }) => ({ token, weight }));
  const text = question.text ? { query: question.text } : {};
  return server.search({ ...text, uploads, ...options }, signal);
}

async function run() {
  running?.abort();
  results.clear();
  say('');
  if (isEmpty(question)) return;
  running = new AbortController();
  const { signal } = running;
  document.body.classList.add('searching');
  say('Searching…');
  try {
    const found = await fetchAnswers(0, STEP, signal);
    results.show(found.answers, found.more);
    say(summary(found));
    if (!found.answers.length) explainNothing(question);
  } catch (fault) {
    if (fault.name === 'AbortError') return;
    say('');
    complain(fault, run);
  }
  if (!signal.aborted) document.body.classList.remove('searching');
}

async function fetchNext(offset, top) {
  try {
    const next = await fetchAnswers(offset, top, running?.signal);
    say(`${offset + next.answers.length} answers, best first`);
    return next;
  } catch (fault) {
    if (fault.name !== 'AbortError') complain(fault, () => results.showMore());
    return null;
  }
}

// What is shown ---------------------------------------------------------------------------------------------------

function show(next) {
  question = next;
  cardActions.why = question.text ? (answer) => openPlayer(answer, true) : null;
  form.show(question);
  complain(null);
  document.body.classList.remove('searching');
  document.body.classList.toggle('asking', isEmpty(question));
  const subject = question.text || question.like?.name || question.files[0]?.name;
  document.title = subject ? `${subject} – Video search` : 'Video search';
  if (isEmpty(question)) welcome(about);
  else hideEmpty();
}

let about = null; // what the server says of the index

// The player ------------------------------------------------------------------------------------------------------

function openPlayer(answer, withReasons) {
  const address = writeAddress(question, answer);
  if (player.isOpen) history.replaceState(history.state, '', address);
  else history.pushState({ visit, opened: true }, '', address);
  showPlayer(answer, withReasons);
}

function showPlayer(answer, withReasons = false) {
  const at = results.answers.indexOf(answer);
  player.open(answer, { before: at > 0, after: at >= 0 && at < results.answers.length - 1 }, withReasons);
}

function stepPlayer(by) {
  const next = results.answers[results.answers.indexOf(player.answer) + by];
  if (next) openPlayer(next, false);
}

let leaving = false; // the dialog closes because the address has changed already

function leaveQuietly() {
  if (!player.isOpen) return;
  leaving = true;
  player.close();
}

function closedPlayer() {
  if (leaving) leaving = false;
  else if (history.state?.opened) history.back();
  else history.replaceState(history.state, '', writeAddress(question));
}

function playAddress() {
  const playing = readPlaying(location.search);
  const answer = playing && results.answers.find(({ id, start }) => id === playing.id && start === playing.start);
  if (answer) showPlayer(answer);
  else leaveQuietly();
}

// Back and forward ------------------------------------------------------------------------------------------------

function keepVisit() {
  visits.set(visit, { ...results.keep(), count: said(), top: window.scrollY });
  if (visits.size > VISITS) visits.delete(visits.keys().next().value);
}

async function goToAddress() {
  const next = readAddress(location.search);
  if (writeAddress(next) !== writeAddress(question) || (history.state?.visit ?? 0) !== visit) {
    keepVisit();
    visit = history.state?.visit ?? 0;
    show(next);
    const kept = visits.get(visit);
    if (kept?.answers.length) {
      running?.abort();
      results.show(kept.answers, kept.more, kept);
      say(kept.count);
      window.scrollTo({ top: kept.top });
    } else {
      await run();
    }
  }
  playAddress();
}

// The start -------------------------------------------------------------------------------------------------------

async function describe() {
  about = await server.info();
  part('about').textContent = `${about.videos.toLocaleString('en')} videos · ${about.model}`;
  player.canCaption = about.can_caption;
  form.offer(about);
  if (isEmpty(question)) welcome(about);
}

collectFiles(async (files) => {
  for (const file of files) {
    form.wait(1);
    try {
      form.add(await send(file, about?.limits.upload_bytes));
    } catch (fault) {
      complain(fault);
    } finally {
      form.wait(-1);
    }
  }
});
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault(); // an address with # would be a step of the history
  part('results').focus();
});
part('home').addEventListener('click', (event) => {
  event.preventDefault();
  ask(EMPTY);
  form.query.focus();
});
history.scrollRestoration = 'manual';
window.addEventListener('popstate', goToAddress);
describe().catch((fault) => complain(fault, describe));
show(readAddress(location.search));
visit = history.state?.visit ?? 0;
run().then(playAddress);
if (isEmpty(question)) form.query.focus();
