// Sizes, durations and times as people write them. Pure.

const UNITS = ['kB', 'MB', 'GB', 'TB', 'PB'];

export function bytes(count) {
    if (count < 1000) return count === 1 ? '1 byte' : `${count} bytes`;
    let value = count;
    let unit = -1;
    do {
        value /= 1000;
        unit++;
    } while (value >= 999.5 && unit < UNITS.length - 1);
    return `${value < 99.95 ? Number(value.toFixed(1)) : Math.round(value)} ${UNITS[unit]}`;
}

export function exactBytes(count) {
    return `${String(count).replace(/\B(?=(\d{3})+$)/g, '\u202f')} bytes`;
}

export function duration(seconds) {
    const s = Math.max(0, Math.round(seconds));
    if (s < 100) return `${s} s`;
    if (s < 3600) return `${Math.round(s / 60)} min`;
    if (s < 48 * 3600) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
    return `${Math.floor(s / 86400)} days`;
}

export function ago(time, now) {
    const seconds = (now - Date.parse(time)) / 1000;
    return seconds < 1 ? 'just now' : `${duration(seconds)} ago`;
}

export function secondsUntil(time, now) {
    return Math.max(0, Math.ceil((Date.parse(time) - now) / 1000));
}

// "02:10" today, "Nov 20, 02:10" otherwise, in the reader's language and time zone (or the given one).
export function clockTime(time, now, locale = undefined, timeZone = undefined) {
    const day = t => new Date(t).toLocaleDateString('en-CA', { timeZone });
    const then = Date.parse(time);
    const format = { hour: '2-digit', minute: '2-digit', timeZone };
    if (day(then) !== day(now)) Object.assign(format, { month: 'short', day: 'numeric' });
    if (new Date(then).getFullYear() !== new Date(now).getFullYear()) format.year = 'numeric';
    return new Date(then).toLocaleString(locale, format);
}

// "02:10:05": for what is near.
export function clockSeconds(time, locale = undefined, timeZone = undefined) {
    return new Date(Date.parse(time)).toLocaleTimeString(locale, { hour: '2-digit', minute: '2-digit', second: '2-digit', timeZone });
}

export function speed(bytesPerSecond) {
    return `${bytes(Math.round(bytesPerSecond))}/s`;
}
