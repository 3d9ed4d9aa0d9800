// The dialog that asks when a drive is to eject.

import { now } from './clock.js';
import { el, newId, setAttribute, setText, show } from './dom.js';
import { CHOICES, localInput } from './schedule_words.js';

const HOUR = 3600 * 1000; // ms

// Resolves to the members of a schedule, or null where the person left it.
export function askWhen(drive) {
    const heading = newId('schedule');
    const kind = el('select', { name: 'kind', onchange: render },
        ...Object.entries(CHOICES).map(([name, choice]) => el('option', { value: name }, choice.label)));
    const number = el('input', { type: 'number', name: 'number', required: true, step: 1 });
    const unit = el('span');
    const numberField = el('label', { class: 'field' }, unit, number);
    const time = el('input', { type: 'datetime-local', name: 'time', required: true, value: localInput(now() + HOUR) });
    const timeField = el('label', { class: 'field' }, el('span', {}, 'Your time'), time);
    const note = el('p', { class: 'note' });
    const form = el('form', { onsubmit: submitted },
        el('h2', { id: heading }, `Eject ${drive.name} later`),
        el('div', { class: 'fields' }, el('label', { class: 'field grow' }, el('span', {}, 'When'), kind), numberField, timeField),
        note,
        el('div', { class: 'dialog-buttons' },
            el('button', { type: 'button', class: 'quiet', onclick: () => dialog.close() }, 'Leave it'),
            el('button', { type: 'submit', class: 'primary' }, 'Schedule')));
    const dialog = el('dialog', { class: 'schedule', 'aria-labelledby': heading }, form);
    let answer = null;

    function render() {
        const choice = CHOICES[kind.value];
        show(numberField, !choice.time);
        show(timeField, choice.time);
        number.disabled = Boolean(choice.time); // what is not asked for need not be valid
        time.disabled = !choice.time;
        setText(unit, choice.unit ?? '');
        setAttribute(number, 'min', choice.min);
        setAttribute(number, 'max', choice.max);
        if (!choice.time) number.value = choice.first;
        setText(note, choice.note ?? '');
        show(note, choice.note);
    }

    function submitted(event) {
        event.preventDefault();
        const choice = CHOICES[kind.value];
        answer = { drive: drive.name, action: 'eject', when: choice.when(choice.time ? time.value : Number(number.value)) };
        dialog.close();
    }

    render();
    document.body.append(dialog);
    return new Promise(resolve => {
        dialog.addEventListener('close', () => {
            dialog.remove();
            resolve(answer);
        });
        dialog.showModal();
    });
}
