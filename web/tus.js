// A file to the appliance in pieces, by the tus protocol. What breaks off goes on where it stopped: after a lost
// connection by itself, after the page was loaded anew when the same file is chosen again.
//
// XMLHttpRequest, because fetch does not tell how far an upload has come.

import * as api from './api.js';

const VERSION = { 'Tus-Resumable': '1.0.0' };
const PIECE = 32 << 20; // bytes; what a refused or interrupted request costs at most
const PAUSES = [1, 2, 4, 8, 15]; // s before the next try; the last one for ever

function encode(text) {
    return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

// Is it the same file? Its content cannot be looked at in a moment; name, size and time of change can.
export function fingerprint(file) {
    return `${file.name}/${file.size}/${file.lastModified}`;
}

export function metadata(pairs) {
    return Object.entries(pairs).filter(([, value]) => value).map(([key, value]) => `${key} ${encode(value)}`).join(',');
}

// Errors that another try may cure: no answer, a server in trouble, or a request before that has not ended yet.
export function isPassing(doc) {
    return doc.code === 'unreachable' || doc.code === 'offset_differs' || doc.code === 'upload_busy'
        || doc.status === 408 || doc.status === 502 || doc.status === 503 || doc.status === 504;
}

function request(method, url, headers, body, progress) {
    const xhr = new XMLHttpRequest();
    const answer = new Promise((resolve, reject) => {
        xhr.upload.onprogress = event => progress?.(event.loaded);
        xhr.onload = () => (xhr.status < 300
            ? resolve(xhr)
            : reject(api.problemFrom(xhr.status, xhr.getResponseHeader('Content-Type'), xhr.responseText)));
        xhr.onerror = () => reject(api.unreachable('The connection was lost during the upload.'));
        xhr.onabort = () => reject(new DOMException('', 'AbortError'));
        xhr.open(method, url);
        for (const [name, value] of Object.entries({ ...VERSION, ...headers })) xhr.setRequestHeader(name, value);
        xhr.send(body);
    });
    return { answer, abort: () => xhr.abort() };
}

// job: {file, name, store (undefined: the default), etag (of what is replaced), unpack (true, false), make and label (of a disc
// that is made of a ZIP archive), mark (by which the same is known again; of a file its own)}; tell: {progress(bytes), waits(doc, seconds),
// goesOn(bytes there already)}. Returns {result, abort()}: the result is the id, by which the appliance may still have to do;
// abort() throws away what was sent.
export function upload(job, tell) {
    const { file } = job;
    const mark = job.mark ?? fingerprint(file);
    let current = null; // what can be aborted
    let ended = false;
    let url = null;

    function send(...parts) {
        if (ended) throw new DOMException('', 'AbortError');
        current = request(...parts);
        return current.answer;
    }

    const pause = seconds => new Promise((resolve, reject) => {
        const timer = setTimeout(resolve, seconds * 1000);
        current = { abort: () => { clearTimeout(timer); reject(new DOMException('', 'AbortError')); } };
    });

    async function offset() {
        try {
            const answer = await send('HEAD', url, {});
            return Number(answer.getResponseHeader('Upload-Offset'));
        } catch (e) {
            if (e.doc?.status !== 404 && e.doc?.status !== 410) throw e; // an answer to HEAD has no body that says more
            throw new api.Problem({
                code: 'not_found', title: 'The upload is gone', remedy: 'Begin again.',
                detail: 'It was cancelled, or thrown away because nobody went on with it.',
            });
        }
    }

    // One that the same file began, perhaps from another page or browser.
    async function find() {
        for (const transfer of await api.transfers()) {
            if (transfer.method !== 'tus' || transfer.state !== 'paused' || transfer.size !== file.size
                || (job.store && transfer.store !== job.store)) continue;
            const at = api.address(['uploads', transfer.id]);
            const answer = await send('HEAD', at, {});
            if (!answer.getResponseHeader('Upload-Metadata')?.split(',').includes(`fingerprint ${encode(mark)}`)) continue;
            url = at;
            return Number(answer.getResponseHeader('Upload-Offset'));
        }
        return null;
    }

    async function create() {
        const headers = {
            'Upload-Length': file.size,
            'Upload-Metadata': metadata({
                filename: job.name, store: job.store, fingerprint: mark, make: job.make, label: job.label,
                unpack: job.unpack === undefined ? undefined : String(job.unpack),
            }),
        };
        if (job.etag) headers['If-Match'] = job.etag;
        const answer = await send('POST', api.address(['uploads']), headers);
        url = new URL(`uploads/${answer.getResponseHeader('Location').split('/').pop()}`, api.address([]));
        return 0;
    }

    async function begin() {
        const found = job.etag ? null : await find();
        if (found) tell.goesOn(found);
        return found ?? create();
    }

    async function next(at) {
        const piece = file.slice(at, at + PIECE);
        const answer = await send('PATCH', url, { 'Upload-Offset': at, 'Content-Type': 'application/offset+octet-stream' }, piece,
            sent => tell.progress(Math.min(at + sent, file.size)));
        return Number(answer.getResponseHeader('Upload-Offset'));
    }

    async function run() {
        let at = null; // not known
        let failures = 0;
        while (at === null || at < file.size) {
            try {
                if (at === null) at = url ? await offset() : await begin();
                tell.progress(at);
                if (at < file.size) at = await next(at);
                failures = 0;
            } catch (e) {
                if (!(e instanceof api.Problem) || !isPassing(e.doc)) throw e;
                const seconds = PAUSES[Math.min(failures++, PAUSES.length - 1)];
                tell.waits(e.doc, seconds);
                await pause(seconds);
                at = null;
            }
        }
        return url.pathname.split('/').pop();
    }

    return {
        result: run(),
        abort() {
            ended = true;
            current?.abort();
            if (url) request('DELETE', url, {}).answer.catch(() => {}); // else it expires
        },
    };
}
