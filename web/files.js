// What is on a disc: a part of an image's row, read when somebody opens it.

import * as api from './api.js';
import { now } from './clock.js';
import { el, setText, show } from './dom.js';
import { problemPlace } from './problem.js';
import { bytes, clockTime } from './units.js';
import { visible } from './words.js';

const LIMIT = 200;

export function filesPart() {
    let image = null;
    let path = '';
    let next = null;
    let asked = 0; // of several questions only the answer to the newest counts
    const where = el('p', { class: 'path' });
    const list = el('ul', { class: 'files plain' });
    const more = el('button', { type: 'button', class: 'quiet', onclick: () => load(path, next) }, 'Show more');
    const problem = problemPlace();
    const node = el('details', { class: 'contents' }, el('summary', {}, 'Files'), where, list, more, problem.node);
    node.addEventListener('toggle', () => { if (node.open) load(''); });

    function row(file) {
        const name = el('bdi', {}, visible(file.name) + (file.type === 'folder' ? '/' : ''));
        const inside = path ? `${path}/${file.name}` : file.name;
        return el('li', {}, file.type === 'folder' ? el('button', { type: 'button', class: 'quiet', onclick: () => load(inside) }, name) : name,
            el('span', { class: 'facts' }, [
                file.type === 'link' ? 'link' : file.type === 'other' ? 'special' : null, file.size === null ? null : bytes(file.size),
                file.modified ? clockTime(file.modified, now()) : null].filter(Boolean).join(' · ')));
    }

    function renderPath() {
        const steps = path ? path.split('/') : [];
        where.replaceChildren(el('button', { type: 'button', class: 'quiet', onclick: () => load('') }, 'Disc'),
            ...steps.flatMap((step, i) => [' / ', el('button', { type: 'button', class: 'quiet', onclick: () => load(steps.slice(0, i + 1).join('/')) },
                el('bdi', {}, visible(step)))]));
    }

    async function load(folder, after) {
        const number = ++asked;
        problem.clear();
        try {
            const page = await api.imageFiles(image.name, image.store, { path: folder, after, limit: LIMIT });
            if (number !== asked) return;
            path = folder;
            next = page.next;
            const rows = page.files.map(row);
            if (after) list.append(...rows);
            else list.replaceChildren(...rows, ...(rows.length ? [] : [el('li', { class: 'note' }, 'There is nothing in it.')]));
            renderPath();
            show(more, next !== null);
        } catch (e) {
            if (!(e instanceof api.Problem)) throw e;
            if (number === asked) problem.show(e.doc);
        }
    }

    show(more, false);
    setText(where, '');
    return {
        node,
        update(newer) {
            image = newer;
            show(node, image.complete && (image.suggested_type === 'cdrom' || /\.iso$/i.test(image.name)));
        },
    };
}
