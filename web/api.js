// Calls of the REST API. What does not work is thrown as a Problem, whose `doc` has the members of a problem document
// (title, detail, remedy, code, ...), also where no answer came at all.

import { learn } from './clock.js';

// Relative to the page, so that it also works behind a proxy that serves it under a folder.
const BASE = new URL('api/v1/', document.baseURI);
const DATE_EXACTNESS = 3000; // ms; the Date header counts seconds, and the answer took its time

export class Problem extends Error {
    constructor(doc) {
        super(doc.detail || doc.title);
        this.doc = doc;
    }
}

export function unreachable(detail) {
    return new Problem({
        code: 'unreachable', title: 'The appliance cannot be reached', detail,
        remedy: 'Check the network. This page tries again by itself.',
    });
}

export function address(segments, query = {}) {
    const url = new URL(segments.map(encodeURIComponent).join('/'), BASE);
    for (const [name, value] of Object.entries(query))
        if (value !== undefined && value !== null && value !== '') url.searchParams.set(name, value);
    return url;
}

// The problem that an answer is, whoever gave it: a proxy in between speaks HTML.
export function problemFrom(status, type, text) {
    if (type?.startsWith('application/problem+json')) {
        try {
            return new Problem(JSON.parse(text));
        } catch { /* cut off on the way */ }
    }
    return new Problem({
        code: 'unexpected', status, title: `Unexpected answer: HTTP ${status}`, detail: text.slice(0, 300),
        remedy: 'Is there a proxy between this browser and the appliance?',
    });
}

async function call(method, url, { body, headers = {}, signal } = {}) {
    const init = { method, headers: { ...headers }, signal, cache: 'no-store' };
    if (body !== undefined) {
        init.body = JSON.stringify(body);
        init.headers['Content-Type'] = 'application/json';
    }
    let answer;
    let text;
    try {
        answer = await fetch(url, init);
        text = await answer.text();
    } catch (e) {
        if (e.name === 'AbortError') throw e;
        throw unreachable(e.message);
    }
    learn(Date.parse(answer.headers.get('Date')), DATE_EXACTNESS);
    if (!answer.ok) throw problemFrom(answer.status, answer.headers.get('Content-Type'), text);
    return { data: text ? JSON.parse(text) : null, headers: answer.headers };
}

async function data(method, segments, { query, ...rest } = {}) {
    return (await call(method, address(segments, query), rest)).data;
}

const ASYNC = { Prefer: 'respond-async' };

// ---- drives and operations ----

export const drives = async () => (await data('GET', ['drives'])).drives;
export const insert = (drive, body, headers) => data('PUT', ['drives', drive, 'medium'], { body, headers });
export const eject = (drive, query, headers) => data('DELETE', ['drives', drive, 'medium'], { query, headers });
export const operations = query => data('GET', ['operations'], { query });
export const operation = id => data('GET', ['operations', id]);
// Whoever asked for the operation gets its end; who changes it only needs to know that it was accepted.
export const force = id => data('POST', ['operations', id, 'force'], { headers: ASYNC });
export const cancel = id => data('DELETE', ['operations', id], { headers: ASYNC });

export const schedules = query => data('GET', ['schedules'], { query });
export const addSchedule = body => data('POST', ['schedules'], { body });
export const cancelSchedule = id => data('DELETE', ['schedules', id]);

// ---- images ----

export const contentAddress = (name, store) => address(['images', name, 'content'], { store });
export const images = (query, signal) => data('GET', ['images'], { query, signal });
export const imageFiles = (name, store, query) => data('GET', ['images', name, 'files'], { query: { store, ...query } });
export const deleteImage = (name, store) => data('DELETE', ['images', name], { query: { store } });
export const editImage = (name, store, body) => data('PATCH', ['images', name], { query: { store }, body });
export const transfers = async () => (await data('GET', ['transfers'])).transfers;
export const transfer = id => data('GET', ['transfers', id]);
export const cancelTransfer = id => data('DELETE', ['transfers', id]);
// The image, or the transfer that brings it.
export const makeImage = body => data('POST', ['images'], { body, headers: ASYNC });
export const stores = async () => (await data('GET', ['stores'])).stores;
// The stream tells the rest.
export const detachStore = (name, body) => data('POST', ['stores', name, 'detach'], { body, headers: ASYNC });
export const attachStore = name => data('POST', ['stores', name, 'attach']);

export async function contentEtag(name, store) {
    return (await call('HEAD', contentAddress(name, store))).headers.get('ETag');
}

// ---- the whole ----

export const system = () => data('GET', ['system']);
export const gadget = (order, allowCollateral) => // reattach, attach, detach
    data('POST', ['gadget', order], { body: allowCollateral ? { allow_collateral: true } : {} });
export const eventsAddress = () => address(['events']);
