// A muted preview of a moment on a card, while the mouse or the focus is there.

import { bounds } from './times.js';
import { videoAddress } from './server.js';

const DELAY = 150; // milliseconds: not for a mouse that only passes

const prefersStill = matchMedia('(prefers-reduced-motion: reduce)');

/** Play the moment of an answer in a frame of the page while it is pointed at. */
export function previewOn(place, answer) {
  let timer = 0;
  let video = null;

  function start() {
    if (video || prefersStill.matches) return;
    const [from, to] = bounds(answer);
    video = document.createElement('video');
    Object.assign(video, { muted: true, playsInline: true, preload: 'auto', tabIndex: -1 });
    video.setAttribute('aria-hidden', 'true');
    video.addEventListener('loadedmetadata', () => { if (from > 0) video.currentTime = from; });
    video.addEventListener('playing', () => place.classList.add('moving'));
    video.addEventListener('timeupdate', () => { if (video && video.currentTime >= to) video.currentTime = from; });
    video.addEventListener('ended', () => { video.currentTime = from; play(); });
    video.addEventListener('error', stop); // a browser that lacks the codec keeps the picture
    video.src = videoAddress(answer.id);
    place.append(video);
    play();
  }

  function play() {
    video.play().catch(() => {}); // it was removed before it began
  }

  function stop() {
    clearTimeout(timer);
    if (!video) return;
    place.classList.remove('moving');
    const leaving = video;
    video = null;
    leaving.remove();
    leaving.pause();
    leaving.removeAttribute('src'); // ends the download
    leaving.load();
  }

  const wait = () => { clearTimeout(timer); timer = setTimeout(start, DELAY); };
  place.addEventListener('pointerenter', (event) => { if (event.pointerType === 'mouse') wait(); });
  place.addEventListener('pointerleave', stop);
  place.addEventListener('focus', () => { if (place.matches(':focus-visible')) wait(); });
  place.addEventListener('blur', stop);
  place.addEventListener('click', stop);
}
