// The appliance's time of day. Its clock may be off by years, and what it says happened "at" is by that clock, so the
// difference to the browser's is kept here.

let offset = 0;

export function now() {
    return Date.now() + offset;
}

// The appliance said that it is `time` (ms) there, exact to `exactness` ms.
export function learn(time, exactness) {
    if (Number.isFinite(time) && Math.abs(time - now()) > exactness) offset = time - Date.now();
}

// Calls `tell` each second while somebody can see the page: ages and countdowns move without any traffic.
export function everySecond(tell) {
    let timer = null;
    const follow = () => {
        clearInterval(timer);
        timer = document.hidden ? null : setInterval(tell, 1000);
        if (!document.hidden) tell();
    };
    document.addEventListener('visibilitychange', follow);
    follow();
}
