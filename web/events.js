// The stream of events. The browser itself comes back after a short loss, with the last id that it saw; only when a
// server answered with an error does it give up, and then we begin anew.
//
// While nobody looks at the page for a while the stream is closed: a browser has few connections to one server, and
// forgotten tabs would use them up.

import { eventsAddress } from './api.js';

const KINDS = ['drive', 'operation', 'image', 'transfer', 'store', 'system', 'schedule', 'host_ejected', 'storage_cut', 'storage_gone'];
const AGAIN_AFTER = 3000; // ms
const HIDDEN_AT_MOST = 60000;

// tell(kind, data) for each event; on.open() when the stream stands, also again; on.lost() when it does not.
export function follow(tell, on) {
    let source = null;
    let timer = null;

    function close() {
        clearTimeout(timer);
        source?.close();
        source = null;
    }

    function open() {
        close();
        source = new EventSource(eventsAddress());
        source.addEventListener('open', () => on.open());
        source.addEventListener('error', () => {
            on.lost();
            if (source?.readyState === EventSource.CLOSED) timer = setTimeout(open, AGAIN_AFTER);
        });
        for (const kind of KINDS) source.addEventListener(kind, event => tell(kind, JSON.parse(event.data)));
    }

    document.addEventListener('visibilitychange', () => {
        if (!document.hidden && !source) open();
        else if (document.hidden && source) {
            clearTimeout(timer);
            timer = setTimeout(close, HIDDEN_AT_MOST);
        } else {
            clearTimeout(timer);
            if (source?.readyState === EventSource.CLOSED) open();
        }
    });
    window.addEventListener('pagehide', close);
    window.addEventListener('pageshow', event => { if (event.persisted) open(); });
    open();
}
