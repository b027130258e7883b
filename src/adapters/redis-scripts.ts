/**
 * What runs inside Redis, each as one atomic round trip. A value begins with its version: one byte of length,
 * the version, then the bytes. So a comparison reads a few bytes of the value, and needs no second key.
 */
import { createHash } from "node:crypto";

/** A script and the name Redis knows it by once it has run there. */
export interface Script {
  readonly text: string;
  readonly sha1: string;
}

function script(text: string): Script {
  return { text, sha1: createHash("sha1").update(text).digest("hex") };
}

/** The head of a value whose version is the one given, or nothing where there is no value. */
const MATCHES = `
local function matches(key, head)
  if head == '' then return redis.call('EXISTS', key) == 0 end
  return redis.call('GETRANGE', key, 0, #head - 1) == head
end`;

/**
 * KEYS value; ARGV head that must be there ('' for none), new head, new bytes, ms ('0' for ever). → 1, or what is
 * there. Joined here, because a buffer for both in Node costs more than all the rest of a write.
 */
export const PUT = script(`${MATCHES}
if not matches(KEYS[1], ARGV[1]) then return { redis.call('GET', KEYS[1]) } end
local value = ARGV[2] .. ARGV[3]
if ARGV[4] == '0' then redis.call('SET', KEYS[1], value)
else redis.call('SET', KEYS[1], value, 'PX', ARGV[4]) end
return 1`);

/** KEYS value; ARGV head. → 1 if that version is there, else the value. */
export const GET_UNLESS = script(`${MATCHES}
if matches(KEYS[1], ARGV[1]) then return 1 end
return redis.call('GET', KEYS[1])`);

/** KEYS value; ARGV head, ms. Never shortens; a value that is kept for ever stays so. */
export const TOUCH = script(`${MATCHES}
if not matches(KEYS[1], ARGV[1]) then return 0 end
local left = redis.call('PTTL', KEYS[1])
if left >= 0 and left < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1`);

/** KEYS value; ARGV head. */
export const DELETE = script(`${MATCHES}
if not matches(KEYS[1], ARGV[1]) then return 0 end
return redis.call('DEL', KEYS[1])`);

/** KEYS lease; ARGV owner, ms. → -1 if it is the caller's now, else how long somebody has it. */
export const ACQUIRE = script(`
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return -1 end
return redis.call('PTTL', KEYS[1])`);

export const RENEW = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`);

export const RELEASE = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`);

const TELL = `
redis.call('SET', KEYS[1], ARGV[1])
return redis.call('PUBLISH', ARGV[2], ARGV[3])`;

/** KEYS counter; ARGV new value, channel, message. The value is random: a counter that went back repeats none. */
export const PUBLISH = script(TELL);

/** The same beyond `maxmemory`: the counter takes no more room than before. From Redis 7 on. */
export const PUBLISH_WHEN_FULL = script(`#!lua flags=allow-oom${TELL}`);

/** KEYS sorted set, marks; ARGV account key, mark. The index knows of a row before the row is there. */
export const INDEX_ADD = script(`
redis.call('ZADD', KEYS[1], 0, ARGV[1])
return redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])`);

/** Takes an entry off the index unless somebody has marked it since. */
export const INDEX_REMOVE = script(`
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
return redis.call('ZREM', KEYS[1], ARGV[1])`);

/**
 * KEYS value. A write that changes next to nothing: whoever has it has all that came before it. → replicas that are
 * connected; 0 where there is nothing to write about.
 */
export const NUDGE = script(`
local left = redis.call('PTTL', KEYS[1])
if left < 0 then return 0 end
local replicas = tonumber(string.match(redis.call('INFO', 'replication'), 'connected_slaves:(%d+)') or '0')
if replicas > 0 then redis.call('PEXPIRE', KEYS[1], left + 1) end
return replicas`);
