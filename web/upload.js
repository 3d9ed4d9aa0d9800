// Uploads of this page: one file after the other. What comes packed, or becomes a disc, is not over with its last byte: the
// appliance then makes the image, and tells by the stream of events how that goes on.

import * as api from './api.js';
import { el, setAttribute, setText, show } from './dom.js';
import { announce } from './live.js';
import { imageName, isPacked } from './packed.js';
import { problemPlace } from './problem.js';
import { transferProblem } from './transfer_words.js';
import { upload } from './tus.js';
import { bytes, duration, speed } from './units.js';
import { visible } from './words.js';

const WINDOW = 5000; // ms over which the speed is measured

function createMeter(total) {
    let marks = [];
    return sent => {
        const at = performance.now();
        if (marks.length && sent < marks.at(-1).sent) marks = []; // some of it was lost on the way
        marks.push({ at, sent });
        while (marks.length > 2 && at - marks[0].at > WINDOW) marks.shift();
        const rate = (sent - marks[0].sent) / Math.max(at - marks[0].at, 1) * 1000;
        if (sent >= total) return 'Being written to the disk and checked…';
        const parts = [`${bytes(sent)} of ${bytes(total)}`];
        if (rate > 0 && at - marks[0].at > 1000) parts.push(speed(rate), `${duration((total - sent) / rate)} left`);
        return parts.join(' · ');
    };
}

// Resolves when the transfer has made its image. waits: told(transfer) by id.
function imageMade(id, waits, tell) {
    return new Promise((resolve, reject) => {
        const told = transfer => {
            if (transfer.state === 'done') resolve();
            else if (transfer.state === 'cancelled') reject(new DOMException('', 'AbortError'));
            else if (transfer.state === 'failed' || transfer.code) reject(new api.Problem(transferProblem(transfer)));
            else tell(transfer);
        };
        waits.set(id, told);
        // It can have ended before we listened; one that nobody remembers has ended well: failures are kept longer.
        api.transfer(id).then(told, e => (e.doc?.code === 'not_found' ? resolve() : undefined));
    }).finally(() => waits.delete(id));
}

function createRow(job, finished, waits) {
    let abort = () => finished(row, null);
    const text = el('span', { class: 'facts' }, 'Waits for its turn');
    const bar = el('progress', { max: job.file.size || 1, value: 0, 'aria-label': `Upload of ${job.name}` });
    const cancel = el('button', { type: 'button', onclick: () => abort() }, 'Cancel');
    const problem = problemPlace();
    const node = el('li', { class: 'upload', 'data-upload': job.name },
        el('div', { class: 'image-words' }, el('bdi', { class: 'image-name' }, visible(job.name)), bar, text), cancel, problem.node);

    function failed(e, again) {
        show(bar, false);
        setText(text, 'Not uploaded');
        setText(cancel, 'Remove');
        abort = () => finished(row, null);
        const remedy = e.doc.code === 'exists'
            ? { label: 'Replace it', danger: true, note: 'The image that is there is lost.', run: () => again(true) }
            : { label: 'Try again', run: () => again(false) };
        problem.show(e.doc, [remedy]);
    }

    const row = {
        node,
        job,
        // Resolves when it is over, one way or the other.
        async run(again) {
            const meter = createMeter(job.file.size);
            show(bar, true);
            setAttribute(bar, 'max', job.file.size || 1);
            problem.clear();
            setText(cancel, 'Cancel');
            try {
                if (job.replace) job.etag = await api.contentEtag(job.image, job.store) ?? '*';
                const transfer = upload(job, {
                    progress(sent) {
                        setAttribute(bar, 'value', sent);
                        setText(text, meter(sent));
                    },
                    goesOn: sent => announce(`${job.name} goes on at ${bytes(sent)}`),
                    waits: (doc, seconds) => setText(text, `${doc.title}. It goes on by itself: next try in ${duration(seconds)}`),
                });
                abort = transfer.abort;
                const id = await transfer.result;
                if (job.make || job.unpack) {
                    await imageMade(id, waits, made => {
                        setAttribute(bar, 'max', made.size || 1);
                        setAttribute(bar, 'value', made.bytes);
                        setText(text, job.make ? 'The disc is being made…' : 'Is being unpacked…');
                    });
                }
                announce(`${job.name} is uploaded`);
                finished(row, job.name);
            } catch (e) {
                if (e instanceof api.Problem) failed(e, again);
                else if (e.name === 'AbortError') finished(row, null);
                else throw e;
            }
        },
    };
    return row;
}

// use: store() where to, or undefined for the default; uploaded() when an image has arrived.
export function createUploads(section, use) {
    const list = section.querySelector('.uploads');
    const waiting = [];
    const rows = new Set();
    const waits = new Map(); // by the id of the transfer
    let running = false;

    function finished(row, name) {
        row.node.remove();
        rows.delete(row);
        const at = waiting.indexOf(row);
        if (at >= 0) waiting.splice(at, 1);
        if (name) use.uploaded();
    }

    async function work() {
        if (running) return;
        running = true;
        while (waiting.length) {
            const row = waiting.shift();
            await row.run(replace => {
                row.job.replace = replace;
                waiting.push(row);
                work();
            });
        }
        running = false;
    }

    function add(files) {
        for (const file of files) {
            // macOS writes names decomposed; the appliance takes only composed ones.
            const name = file.name.normalize('NFC');
            enqueue({ file, name, store: use.store(), ...(isPacked(name) ? { unpack: true } : {}) });
        }
    }

    function enqueue(job) {
        const row = createRow({ ...job, image: job.unpack ? imageName(job.name) : job.name }, finished, waits);
        list.append(row.node);
        rows.add(row);
        waiting.push(row);
        work();
    }

    const input = section.querySelector('input[type=file]');
    input.addEventListener('change', () => {
        add(input.files);
        input.value = ''; // so that the same file can be chosen again
    });
    acceptDrops(section.querySelector('.drop'), add);
    window.addEventListener('beforeunload', event => { if (running) event.preventDefault(); });
    return {
        enqueue,
        told: transfer => waits.get(transfer.id)?.(transfer),
        isUploading: image => [...rows].some(({ job }) => job.image === image.name && (job.store ?? image.store) === image.store),
        // The stream of events was interrupted: what was missed is asked for.
        refresh() {
            for (const [id, told] of waits) api.transfer(id).then(told, () => {});
        },
    };
}

// Files may be dropped anywhere: next to the target the browser would leave the page and show the file.
function acceptDrops(target, add) {
    const hasFiles = event => event.dataTransfer?.types.includes('Files');
    const mark = on => target.classList.toggle('is-over', on);
    document.addEventListener('dragover', event => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        event.dataTransfer.dropEffect = 'copy';
        mark(true);
    });
    document.addEventListener('dragleave', event => { if (!event.relatedTarget) mark(false); });
    document.addEventListener('drop', event => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        mark(false);
        add(event.dataTransfer.files);
    });
}
