// The dialog before a store is taken away.

import { el, newId, sentences } from './dom.js';

// Resolves to the body of the request, or null where the person left it. `effects`: as dom.sentences() takes it.
export function askDetach(store, effects) {
    const heading = newId('detach');
    const list = el('ul', { class: 'sentences' });
    sentences(list)(effects);
    const unmount = el('input', { type: 'checkbox', role: 'switch', name: 'unmount', checked: true });
    const cancel = el('input', { type: 'checkbox', role: 'switch', name: 'cancel' });
    const force = el('input', { type: 'checkbox', role: 'switch', name: 'force' });
    let answer = null;
    const row = (input, text, note) => el('label', { class: 'switch' }, input, el('span', {}, `${text} `, el('span', { class: 'note' }, note)));
    const form = el('form', { onsubmit: submitted },
        el('h2', { id: heading }, `Take ${store.name} away?`),
        list,
        row(unmount, 'Unmount it', 'So that the device can be pulled out.'),
        row(cancel, 'Cancel transfers', 'Instead of waiting for them.'),
        row(force, 'Use force where a host does not let go', 'After its patience; what it has not written may be lost.'),
        el('div', { class: 'dialog-buttons' },
            el('button', { type: 'button', class: 'quiet', autofocus: true, onclick: () => dialog.close() }, 'Leave it'),
            el('button', { type: 'submit', class: 'primary' }, 'Remove safely')));
    const dialog = el('dialog', { class: 'detach', 'aria-labelledby': heading }, form);

    function submitted(event) {
        event.preventDefault();
        answer = { unmount: unmount.checked, transfers: cancel.checked ? 'cancel' : 'drain' };
        if (force.checked) answer.on_timeout = 'force';
        dialog.close();
    }

    document.body.append(dialog);
    return new Promise(resolve => {
        dialog.addEventListener('close', () => {
            dialog.remove();
            resolve(answer);
        });
        dialog.showModal();
    });
}
