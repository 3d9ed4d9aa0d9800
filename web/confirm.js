// The second step before something that cannot be taken back.

import { el, newId, sentences } from './dom.js';

// Resolves to true where the person said yes. `text` is a list of sentences as dom.sentences() takes it.
export function confirm({ title, text, yes, danger = true }) {
    const heading = newId('confirm');
    const list = el('ul', { class: 'sentences' });
    sentences(list)(text);
    const dialog = el('dialog', { class: 'confirm', 'aria-labelledby': heading },
        el('h2', { id: heading }, title),
        list,
        el('div', { class: 'dialog-buttons' },
            el('button', { type: 'button', class: 'quiet', autofocus: true, onclick: () => dialog.close('no') }, 'Leave it'),
            el('button', {
                type: 'button', class: danger ? 'danger' : 'primary', onclick: () => dialog.close('yes'),
            }, yes)));
    document.body.append(dialog);
    return new Promise(resolve => {
        dialog.addEventListener('close', () => {
            dialog.remove();
            resolve(dialog.returnValue === 'yes');
        });
        dialog.showModal();
    });
}
