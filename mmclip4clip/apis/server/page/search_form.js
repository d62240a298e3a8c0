// The form: words, files and filters. It shows a question and calls `ask(question)` when people change it.

import { element, icon, ICONS } from './elements.js';
import { frameAddress } from './server.js';
import { EMPTY, isEmpty, isFiltered } from './state.js';
import { bounds, range } from './times.js';
import { thumbnails } from './uploads.js';

const FIELDS = ['kind', 'folder', 'min', 'max'];
const field = (name) => document.querySelector(`#${name}`);

export class SearchForm {
  constructor(ask) {
    this.ask = ask;
    this.question = EMPTY;
    this.pending = 0; // files on their way to the server
    this.query = field('query');
    field('form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.submit();
    });
    for (const name of FIELDS) field(name).addEventListener('change', () => this.refine());
    field('clear').addEventListener('click', () => {
      this.ask({ ...this.read(), folder: '', min: '', max: '' });
      this.query.focus();
    });
    field('tune').addEventListener('click', () => this.tune());
    document.addEventListener('keydown', (event) => this.hurry(event));
  }

  /** Show or hide the filters, where the page is narrow. */
  tune() {
    const shown = field('filters').classList.toggle('shown');
    field('tune').setAttribute('aria-expanded', shown);
  }

  /** Offer the folders of the index. */
  offer({ folders = [] }) {
    field('folders').hidden = folders.length < 2;
    field('folder').append(...folders.map((folder) => element('option', { value: folder }, folder)));
    this.show(this.question);
  }

  show(question) {
    this.question = question;
    this.query.value = question.text;
    for (const name of FIELDS) field(name).value = question[name];
    const known = field('folder').value === question.folder;
    if (!known) field('folder').append(element('option', { value: question.folder, selected: true }, question.folder));
    field('clear').hidden = !isFiltered(question);
    this.showChips();
  }

  read() {
    const filters = Object.fromEntries(FIELDS.map((name) => [name, field(name).value]));
    return { ...this.question, text: this.query.value.trim(), ...filters };
  }

  /** Search with what is typed, in place of what a clicked answer resembles. */
  submit() {
    const question = this.read();
    this.ask(question.text ? { ...question, like: null } : question);
  }

  /** Search again when a filter changes, if there is something to search with. */
  refine() {
    const valid = ['min', 'max'].every((name) => field(name).reportValidity());
    if (valid) this.ask(this.read());
  }

  add(file) {
    const question = this.read();
    this.ask({ ...question, like: null, files: [...question.files, file] });
  }

  /** Show that files are on their way: +1 when one starts, -1 when it ends. */
  wait(change) {
    this.pending += change;
    this.showChips();
  }

  /** `/` goes to the query, unless it is typed into a field or a dialog is open. */
  hurry(event) {
    const typing = event.target.closest?.('input, select, textarea, dialog[open]');
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || typing) return;
    event.preventDefault();
    this.query.focus();
    this.query.select();
  }

  showChips() {
    const { files, like } = this.question;
    const chips = files.map((file) => this.fileChip(file));
    if (like) chips.push(this.likeChip(like));
    if (this.pending) chips.push(element('li', { class: 'chip', 'aria-busy': 'true' }, 'Sending the file…'));
    field('chips').replaceChildren(...chips);
    field('chips').hidden = !chips.length;
  }

  fileChip(file) {
    const change = (files) => this.ask({ ...this.read(), files });
    const others = this.question.files.filter((other) => other !== file);
    const turned = { ...file, weight: -file.weight };
    const less = file.weight < 0;
    return element('li', { class: less ? 'chip less' : 'chip' },
      thumbnails.get(file.token) ?? element('span', { class: 'kind' }, file.kind),
      element('span', { class: 'chip-name' }, file.name),
      element('button', {
        type: 'button', class: 'sign', 'aria-pressed': String(less),
        'aria-label': `Less like ${file.name}`, title: less ? 'Less like this; press for more' : 'Press for less like this',
        onclick: () => change(this.question.files.map((other) => (other === file ? turned : other))),
      }, less ? '−' : '+'),
      this.removeButton(file.name, () => change(others)));
  }

  likeChip(like) {
    const [start, end] = bounds({ ...like, duration: 0 });
    return element('li', { class: 'chip' },
      element('img', { src: frameAddress(like.id, (start + end) / 2, 56), alt: '' }),
      element('span', { class: 'chip-name' }, `Like ${like.name}`),
      element('span', { class: 'chip-time' }, range(like)),
      this.removeButton(like.name, () => this.ask({ ...this.read(), like: null })));
  }

  removeButton(name, remove) {
    const removal = () => { remove(); this.query.focus(); };
    return element('button', { type: 'button', class: 'remove', 'aria-label': `Remove ${name}`, onclick: removal },
      icon(ICONS.close));
  }

  /** Whether the page has nothing to search with. */
  get isEmpty() {
    return isEmpty(this.question);
  }
}
