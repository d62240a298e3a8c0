// Play, seek, sound and full screen of the player, with the moment marked on the timeline.

import { element, icon, ICONS } from './elements.js';
import { bounds, clock, share, spokenRange } from './times.js';

/** A bar with the controls of a video that shows an answer. */
export function controls(video, answer) {
  const [start, end] = bounds(answer);
  const isMoment = answer.start !== null;
  const button = (name, path, action) =>
    element('button', { type: 'button', class: 'icon', 'aria-label': name, title: name, onclick: action }, icon(path));

  const playButton = button('Play', ICONS.play, () => toggle(video));
  playButton.autofocus = true;
  const soundButton = button('Mute', ICONS.sound, () => { video.muted = !video.muted; });
  const backButton = button('Back to the moment', ICONS.back, () => { seek(video, start); video.play(); });
  const fullButton = button('Full screen', ICONS.full, () => video.requestFullscreen());
  fullButton.hidden = !document.fullscreenEnabled;
  const position = element('input', {
    type: 'range', class: 'position', min: 0, max: answer.duration, step: Math.max(0.05, answer.duration / 400),
    'aria-label': isMoment ? `Position; the moment is ${spokenRange(answer)}` : 'Position',
    '--from': share(start, answer.duration), '--to': isMoment ? share(end, answer.duration) : 0,
    oninput: () => seek(video, Number(position.value)),
  });
  const time = element('span', { class: 'clock' });

  function showTime() {
    const now = `${clock(video.currentTime)} of ${clock(answer.duration)}`;
    position.value = video.currentTime;
    position.style.setProperty('--at', share(video.currentTime, answer.duration));
    position.setAttribute('aria-valuetext', now);
    time.textContent = now.replace(' of ', ' / ');
  }
  function showButton(target, name, path) {
    target.replaceChildren(icon(path));
    target.setAttribute('aria-label', name);
    target.title = name;
  }
  const showPlaying = () =>
    showButton(playButton, video.paused ? 'Play' : 'Pause', video.paused ? ICONS.play : ICONS.pause);
  for (const name of ['timeupdate', 'seeking', 'loadedmetadata']) video.addEventListener(name, showTime);
  for (const name of ['play', 'pause', 'ended']) video.addEventListener(name, showPlaying);
  video.addEventListener('volumechange', () =>
    showButton(soundButton, video.muted ? 'Unmute' : 'Mute', video.muted ? ICONS.muted : ICONS.sound));
  video.addEventListener('click', () => toggle(video));
  showTime();
  return element('div', { class: 'controls' }, playButton, backButton, position, time, soundButton, fullButton);
}

export function toggle(video) {
  if (video.paused) video.play();
  else video.pause();
}

export function seek(video, time) {
  video.currentTime = time;
}
