// Puts the parts together: the stream of events to those who show things, and their wishes to the API.

import * as api from './api.js';
import { everySecond, learn, now as clock } from './clock.js';
import { el, show } from './dom.js';
import { createDrives } from './drives.js';
import { createEditDialog } from './edit.js';
import { follow } from './events.js';
import { createGadget } from './gadget.js';
import { createImages } from './images.js';
import { createInsertDialog } from './insert.js';
import { createMakers } from './make.js';
import { createDiscMaker } from './make_disc.js';
import { createOperations } from './operations.js';
import { createOrders } from './orders.js';
import { createSchedules } from './schedules.js';
import { createStores } from './stores.js';
import { createTransfers } from './transfers.js';
import { createUploads } from './upload.js';

const section = id => document.getElementById(id);
let stores = [];

const gadget = createGadget(document);
const drives = createDrives(section('drives'));
const orders = createOrders(drives, gadget.send);
const operations = createOperations(section('operations'));
const schedules = createSchedules(drives);
const insertDialog = createInsertDialog({
    drives: drives.all, get: drives.get, insert: orders.insert, stores: () => stores,
});
const uploads = createUploads(section('images'), { store: () => storeSelect.value || undefined, uploaded: () => loadImages() });
const transfers = createTransfers(section('images').querySelector('.transfers'), {
    isOurs: uploads.isUploading, changed: () => images.render(), now: clock,
});
createMakers(section('images'), { store: () => storeSelect.value || undefined, made: () => loadImages() });
section('images').querySelector('.make-disc').addEventListener('click', createDiscMaker({
    store: () => storeSelect.value || undefined, send: uploads.enqueue,
}));
const images = createImages(section('images'), {
    drives: drives.all, insert: image => insertDialog.open({ forImage: image }), stores: () => stores,
    edit: image => editDialog.open(image),
    isUploading: image => uploads.isUploading(image) || transfers.shows(image),
});
const editDialog = createEditDialog(() => images.load());

drives.connect({
    eject: orders.eject, pinhole: orders.pinhole, forceNow: orders.forceNow, cancel: orders.cancel,
    insert: drive => insertDialog.open({ forDrive: drive }), schedule: schedules.ask, cancelSchedule: schedules.cancel,
}, () => {
    images.render(); // who has which image
    insertDialog.render();
});

// ---- stores ----

const storeSelect = section('images').querySelector('.store');
const updateStores = createStores(section('images').querySelector('.stores'), {
    drives: drives.all, transfers: api.transfers, set: setStore,
});

function showStores() {
    const writable = stores.filter(store => store.attached && !store.readonly);
    const chosen = storeSelect.value;
    storeSelect.replaceChildren(...writable.map(store => el('option', { value: store.name }, store.name)));
    if (writable.some(store => store.name === chosen)) storeSelect.value = chosen;
    show(storeSelect.closest('label'), writable.length > 1);
    updateStores(stores);
    images.render(); // what it says where there are none
}

function setStore(store) {
    stores = stores.map(old => (old.name === store.name ? store : old));
    showStores();
}

// ---- loading ----

// What cannot be loaded because the connection is lost is loaded when it is back; the rest of the page says what is wrong.
async function quietly(promise) {
    try {
        await promise;
    } catch (e) {
        if (!(e instanceof api.Problem)) throw e;
    }
}

const loadDrives = async () => {
    const asked = drives.mark();
    drives.setAll(await api.drives(), asked);
    await schedules.load();
};
const loadStores = async () => {
    stores = await api.stores();
    showStores();
};
const loadImages = () => Promise.all([quietly(loadStores()), images.load()]);

function setSystem(system) {
    learn(Date.parse(system.started_at) + system.uptime * 1000, 1000);
    const wasReachable = gadget.isReachable();
    gadget.set(system);
    if (!wasReachable && gadget.isReachable()) quietly(loadDrives());
}

async function loadAll() {
    await quietly(api.system().then(setSystem));
    await Promise.all([quietly(loadDrives()), quietly(operations.load()), loadImages(), quietly(transfers.load())]);
}

// ---- what happens ----

const HEAR = {
    drive: drive => drives.set(drive),
    operation(op) {
        operations.set(op);
        orders.ended(op);
    },
    schedule: schedule => schedules.set(schedule),
    image: image => images.set(image),
    transfer(transfer) {
        transfers.set(transfer);
        uploads.told(transfer);
    },
    store(store) {
        setStore(store);
        loadImages();
    },
    system: setSystem,
    host_ejected: event => drives.hostEjected(event),
    storage_cut: () => quietly(loadStores()), // the drive tells the rest
    storage_gone: () => quietly(loadStores()),
};

follow((what, data) => HEAR[what](data), {
    open() {
        gadget.setLink('open');
        loadAll();
        uploads.refresh();
    },
    lost: () => gadget.setLink('lost'),
});
everySecond(drives.tick);
