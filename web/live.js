// Tells screen readers what changed, in one place, so that ticking ages and countdowns are not read out.

import { setText } from './dom.js';

let region = null;

export function announce(text) {
    region ??= document.getElementById('live');
    setText(region, text);
}
