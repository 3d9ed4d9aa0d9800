// The dialog that changes an image's name, its note and its mark.

import * as api from './api.js';
import { el, newId } from './dom.js';
import { announce } from './live.js';
import { problemPlace } from './problem.js';

const NOTE_MAX = 1000; // bytes, as the appliance takes; characters are fewer

// changed(): something was saved.
export function createEditDialog(changed) {
    let image = null;
    const heading = newId('edit');
    const name = el('input', { type: 'text', name: 'name', autocomplete: 'off', spellcheck: 'false', required: true });
    const note = el('textarea', { name: 'note', rows: 3, maxlength: NOTE_MAX });
    const readonly = el('input', { type: 'checkbox', role: 'switch', name: 'readonly' });
    const problem = problemPlace();
    const submit = el('button', { type: 'submit', class: 'primary' }, 'Save');
    const form = el('form', { onsubmit: submitted },
        el('h2', { id: heading }, 'Edit an image'),
        el('label', { class: 'field' }, el('span', {}, 'Name'), name),
        el('label', { class: 'field' }, el('span', {}, 'Note'), note),
        el('label', { class: 'switch' }, readonly, el('span', {}, 'Read-only ',
            el('span', { class: 'note' }, 'When it is put into a USB stick, the host cannot change it.'))),
        problem.node,
        el('div', { class: 'dialog-buttons' },
            el('button', { type: 'button', class: 'quiet', onclick: () => dialog.close() }, 'Cancel'), submit));
    const dialog = el('dialog', { class: 'edit', 'aria-labelledby': heading }, form);
    document.body.append(dialog);

    // Only what was changed here, so that what somebody else changed meanwhile stays.
    function edits() {
        const body = {};
        const wanted = name.value.normalize('NFC');
        if (wanted !== image.name) body.name = wanted;
        if (note.value !== (image.note ?? '')) body.note = note.value;
        if (readonly.checked !== image.readonly) body.readonly = readonly.checked;
        return body;
    }

    async function submitted(event) {
        event.preventDefault();
        problem.clear();
        submit.disabled = true;
        try {
            await api.editImage(image.name, image.store, edits());
            dialog.close();
            announce(`${name.value} is saved`);
            changed();
        } catch (e) {
            if (!(e instanceof api.Problem)) throw e;
            problem.show(e.doc);
        } finally {
            submit.disabled = false;
        }
    }

    return {
        open(chosen) {
            image = chosen;
            name.value = image.name;
            note.value = image.note ?? '';
            readonly.checked = image.readonly;
            problem.clear();
            dialog.showModal();
            name.focus();
            const dot = image.name.lastIndexOf('.');
            name.setSelectionRange(0, dot > 0 ? dot : image.name.length);
        },
    };
}
