// The grid of answers. All answers that came are kept, but only some of their cards are in the page.

import { card } from './card.js';

const STEP = 24; // cards that come at once
const MOST = 120; // cards in the page

export class Results {
  /** `actions` are those of a card; `fetchNext(offset, count)` resolves to {answers, more}. */
  constructor(actions, fetchNext) {
    this.actions = actions;
    this.fetchNext = fetchNext;
    this.grid = document.querySelector('#grid');
    this.moreButton = document.querySelector('#more');
    this.earlierButton = document.querySelector('#earlier');
    this.moreButton.addEventListener('click', () => this.showMore());
    this.earlierButton.addEventListener('click', () => this.showEarlier());
    this.clear();
  }

  clear() {
    this.answers = [];
    this.more = false;
    [this.first, this.last] = [0, 0]; // answers[first:last] have a card
    this.loading = false;
    this.grid.replaceChildren();
    this.showButtons();
  }

  /** Show answers anew; `kept` of an earlier visit has more of them and the first one that was shown. */
  show(answers, more, kept = {}) {
    this.clear();
    this.answers = answers;
    this.more = more;
    this.first = kept.first ?? 0;
    this.last = Math.min(answers.length, kept.last ?? answers.length, this.first + MOST);
    this.grid.append(...this.cards(this.first, this.last));
    this.showButtons();
  }

  /** What `show` needs to show the same again. */
  keep() {
    return { answers: this.answers, more: this.more, first: this.first, last: this.last };
  }

  cards(first, last) {
    const best = this.answers[0]?.score ?? 0;
    return this.answers.slice(first, last).map((answer) => card(answer, best, this.actions));
  }

  async showMore() {
    if (this.loading) return;
    if (this.last === this.answers.length && this.more) {
      this.setLoading(true);
      const shown = this.answers; // another search may come meanwhile
      try {
        const next = await this.fetchNext(this.answers.length, STEP);
        if (!next || shown !== this.answers) return;
        this.answers.push(...next.answers);
        this.more = next.more;
      } finally {
        if (shown === this.answers) this.setLoading(false);
      }
    }
    const cards = this.cards(this.last, this.last + STEP);
    this.last += cards.length;
    this.keepPlace(() => {
      this.grid.append(...cards);
      while (this.last - this.first > MOST) this.dropFirst();
    }, this.grid.lastElementChild);
    this.showButtons();
    cards[0]?.querySelector('button').focus({ preventScroll: true });
  }

  showEarlier() {
    const from = Math.max(0, this.first - STEP);
    const cards = this.cards(from, this.first);
    this.keepPlace(() => {
      this.grid.prepend(...cards);
      this.first = from;
      while (this.last - this.first > MOST) this.dropLast();
    }, this.grid.firstElementChild);
    this.showButtons();
    cards.at(-1)?.querySelector('button').focus({ preventScroll: true });
  }

  dropFirst() {
    this.grid.firstElementChild.remove();
    this.first += 1;
  }

  dropLast() {
    this.grid.lastElementChild.remove();
    this.last -= 1;
  }

  /** Change the grid, and scroll so that one of its cards stays where it was. */
  keepPlace(change, anchor) {
    const before = anchor?.getBoundingClientRect().top ?? 0;
    change();
    if (anchor?.isConnected) window.scrollBy({ top: anchor.getBoundingClientRect().top - before, behavior: 'instant' });
  }

  setLoading(loading) {
    this.loading = loading;
    this.moreButton.setAttribute('aria-busy', loading);
    this.moreButton.textContent = loading ? 'Searching…' : 'Show more';
  }

  showButtons() {
    this.setLoading(false);
    this.moreButton.hidden = !this.more && this.last === this.answers.length;
    this.earlierButton.hidden = this.first === 0;
    this.grid.setAttribute('start', this.first + 1);
  }
}
