// The dialog that plays a moment, with its film strip, caption and reasons.

import { controls, seek, toggle } from './controls.js';
import { element, icon, ICONS } from './elements.js';
import { reasons } from './reasons.js';
import { caption, frameAddress, momentOf, stripAddress, videoAddress, why } from './server.js';
import { bounds, clock, range } from './times.js';

const FOCUSABLE = 'a[href], button:not([disabled], [hidden]), input:not([disabled])';

export class Player {
  /** `actions`: `closed()`, `step(by)`, `similar(answer)` and `query()`, the words whose reasons are shown, or ''. */
  constructor(actions) {
    this.actions = actions;
    this.canCaption = false;
    this.dialog = document.querySelector('#player');
    this.dialog.addEventListener('close', () => this.leave());
    this.dialog.addEventListener('click', (event) => { if (event.target === this.dialog) this.dialog.close(); });
    this.dialog.addEventListener('keydown', (event) => this.key(event));
  }

  get isOpen() {
    return this.dialog.open;
  }

  /** Play an answer from its moment; `neighbors` says whether there is one before and one after it. */
  open(answer, neighbors, withReasons = false) {
    this.stop();
    this.answer = answer;
    this.video = element('video', {
      playsinline: true, preload: 'auto', 'aria-label': answer.name, poster: frameAddress(answer.id, bounds(answer)[0], 480),
    });
    this.note = element('div', { class: 'note', role: 'status' });
    this.strip = element('div', { class: 'strip' }, this.plainStrip());
    this.dialog.replaceChildren(
      this.header(neighbors),
      element('div', { class: 'stage' }, this.video),
      controls(this.video, answer),
      this.note,
      this.strip,
      this.footer(),
    );
    if (!this.isOpen) this.dialog.showModal();
    this.dialog.querySelector('[autofocus]')?.focus();
    this.play();
    if (withReasons) this.showReasons();
  }

  close() {
    this.dialog.close();
  }

  play() {
    const { video, answer } = this;
    const [start] = bounds(answer);
    video.addEventListener('loadedmetadata', () => { if (start > 0) seek(video, start); }, { once: true });
    video.addEventListener('error', () => { if (this.video === video) this.cannotPlay(); });
    video.src = videoAddress(answer.id);
    video.play().catch((fault) => {
      if (fault.name !== 'NotAllowedError') return;
      video.muted = true; // a browser lets a link play without sound only
      video.play().catch(() => {});
    });
  }

  header(neighbors) {
    const { answer } = this;
    const step = (name, path, by, there) =>
      element('button', {
        type: 'button', class: 'icon', 'aria-label': name, title: name, disabled: !there,
        onclick: () => this.actions.step(by),
      }, icon(path));
    return element('header', { class: 'player-top' },
      element('div', { class: 'player-title' },
        element('h2', { id: 'player-name' }, answer.name),
        element('p', {}, `${range(answer)} of ${clock(answer.duration)} · score ${answer.score.toFixed(3)}`,
          element('span', { class: 'folder' }, answer.folder))),
      step('Previous answer', ICONS.previous, -1, neighbors.before),
      step('Next answer', ICONS.next, 1, neighbors.after),
      element('button', { type: 'button', class: 'icon', 'aria-label': 'Close', title: 'Close', onclick: () => this.close() },
        icon(ICONS.close)));
  }

  footer() {
    const { answer } = this;
    const button = (text, action) => element('button', { type: 'button', class: 'quiet', onclick: action }, text);
    return element('p', { class: 'player-actions' },
      button('Similar videos', () => this.actions.similar(answer)),
      this.actions.query() ? button('Why this one?', () => this.showReasons()) : null,
      this.canCaption ? button('Describe it', () => this.showCaption()) : null,
      element('a', { href: videoAddress(answer.id), download: answer.name, class: 'quiet' }, 'Save the file'));
  }

  plainStrip() {
    const moment = bounds(this.answer);
    return element('img', {
      src: stripAddress(this.answer.id, moment), alt: `Frames of ${range(this.answer)}`,
      onerror: (event) => event.target.remove(),
    });
  }

  cannotPlay() {
    this.dialog.classList.add('still');
    this.say(`This browser cannot play ${this.answer.name}: it lacks the codec, or the file is damaged. `
      + 'Below are frames of the moment; another player may play the saved file.');
  }

  async showReasons() {
    const query = this.actions.query();
    await this.fetch('Comparing the frames…', why, { query, ...momentOf(this.answer) }, (result) => {
      this.say('');
      const go = (time) => { seek(this.video, time); this.video.pause(); };
      this.dialog.classList.add('explained');
      this.strip.replaceChildren(reasons(this.answer, query, result, go));
    });
  }

  async showCaption() {
    await this.fetch('Describing the moment…', caption, momentOf(this.answer), (result) =>
      this.say(element('span', { class: 'caption' }, result.caption)));
  }

  /** Ask the server about the answer, and show what comes if the answer is still in the player. */
  async fetch(waiting, ask, question, show) {
    const { answer } = this;
    this.say(waiting);
    try {
      const result = await ask(question);
      if (this.answer === answer) show(result);
    } catch (fault) {
      if (this.answer === answer) this.say(fault.message);
    }
  }

  say(content) {
    this.note.replaceChildren(content);
  }

  key(event) {
    const onControl = event.target.closest('button, input, a');
    if (event.key === ' ' && !onControl) {
      event.preventDefault();
      toggle(this.video);
    }
    if (event.key !== 'Tab') return;
    const stops = [...this.dialog.querySelectorAll(FOCUSABLE)];
    const [from, to] = event.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]];
    if (document.activeElement !== from && this.dialog.contains(document.activeElement)) return;
    event.preventDefault();
    to.focus();
  }

  /** Free the connection of the video. */
  stop() {
    this.dialog.classList.remove('still', 'explained');
    if (!this.video) return;
    const { video } = this;
    this.video = null;
    this.answer = null;
    video.pause();
    video.removeAttribute('src');
    video.load();
  }

  leave() {
    this.stop();
    this.dialog.replaceChildren();
    this.actions.closed();
  }
}
