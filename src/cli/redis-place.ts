import { readFileSync } from 'node:fs';
import { CephflowError } from '../base/errors.ts';
import type { RedisPlace } from '../engine/redis-place.ts';
import type { ConfigValues } from './config-schema.ts';

type RedisConfig = NonNullable<ConfigValues['redis']>;

/** Read where Redis is from a validated config, with its password. @throws INTERNAL for one that was not validated */
export function redisPlaceOf(config: RedisConfig): RedisPlace {
  const { url, sentinels, name, 'password-file': file } = config;
  if (url !== undefined) return url;
  if (sentinels === undefined || name === undefined)
    throw new CephflowError('INTERNAL', 'a config without redis.url and sentinels was taken for valid');
  // the line break at the end is the editor's
  const password = file === undefined ? undefined : readFileSync(file, 'utf8').trimEnd();
  return { sentinels, name, ...(password !== undefined && { password }) };
}

/** Name it for people, without the password. */
export function describeRedis({ url, sentinels = [], name }: RedisConfig): string {
  return url === undefined ? `${name} (of the sentinels at ${sentinels.join(', ')})` : new URL(url).host;
}
