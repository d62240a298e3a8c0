// Times as people write them.

/** Seconds as 1:02.5 or 1:00:05, without the fraction if it is zero. */
export function clock(seconds) {
  const tenths = Math.round(seconds * 10);
  const [hours, minutes] = [Math.floor(tenths / 36000), Math.floor(tenths / 600) % 60];
  const rest = (tenths % 600) / 10;
  const whole = String(Math.floor(rest)).padStart(2, '0');
  const fraction = rest % 1 ? `.${Math.round((rest % 1) * 10)}` : '';
  const start = hours ? `${hours}:${String(minutes).padStart(2, '0')}` : String(minutes);
  return `${start}:${whole}${fraction}`;
}

/** The time range of an answer, as "0:05–0:15", or "whole video". */
export function range(answer) {
  return answer.start === null ? 'whole video' : `${clock(answer.start)}–${clock(answer.end)}`;
}

/** The time range for a screen reader. */
export function spokenRange(answer) {
  return answer.start === null ? 'the whole video' : `${clock(answer.start)} to ${clock(answer.end)}`;
}

/** Start and end of an answer in seconds, also of a whole video. */
export function bounds(answer) {
  return [answer.start ?? 0, answer.end ?? answer.duration];
}

/** Where a time is in a video, from 0 to 1. */
export function share(seconds, duration) {
  return duration > 0 ? Math.min(1, Math.max(0, seconds / duration)) : 0;
}
