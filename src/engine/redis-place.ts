import type { Redis, RedisOptions } from 'ioredis';

/** Say which Redis: `redis://…`, `rediss://…` or the path of a unix socket; or the one that sentinels look after. */
export type RedisPlace = string | SentinelPlace;

/** Be the primary that sentinels call `name`, whichever server that is at the time. */
export interface SentinelPlace {
  /** `host:port` of each sentinel; one that answers is enough. */
  readonly sentinels: readonly string[];
  readonly name: string;
  /** Of the servers, not of the sentinels. */
  readonly password?: string;
}

/** Port of a sentinel that names none. */
const usualPort = 26_379;

/** Turn a place into options of ioredis. Connections made like another one inherit them. */
export function optionsOfPlace(place: RedisPlace): RedisOptions | undefined {
  if (typeof place === 'string') return undefined;
  const { name, password, sentinels } = place;
  return {
    name,
    role: 'master',
    sentinels: sentinels.map(readAddress),
    ...(password !== undefined && { password }),
  };
}

/** Read `host:port`; an IPv6 address stands in brackets where a port follows it. */
function readAddress(text: string): { host: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[(.+)\]|([^:]+))(?::(\d+))?$/.exec(text) ?? [];
  return { host: bracketed ?? plain ?? text, port: Number(port ?? usualPort) };
}

/** Tell where a Redis is, without the password. */
export function addressOf({ options }: Pick<Redis, 'options'>): string {
  const { path, host, port, tls, sentinels, name } = options;
  if (sentinels) {
    const all = sentinels.map((one) => `${one.host}:${one.port}`).join(', ');
    return `${name} (of the sentinels at ${all})`;
  }
  return path ?? `${tls ? 'rediss' : 'redis'}://${host}:${port}`;
}

/** Name the keys of the config that say where a Redis is. */
export function keysOf({ options }: Pick<Redis, 'options'>): string {
  return options.sentinels ? 'redis.sentinels and redis.name' : 'redis.url';
}
