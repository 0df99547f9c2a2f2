#!/usr/bin/python3
"""Write and read back seeded objects over librados, many at a time.

  objects.py load   CONF KEYRING POOL MANIFEST COUNT SIZE SEED     writes, and keeps every checksum in MANIFEST
  objects.py verify CONF KEYRING POOL MANIFEST                     reads all, prints {"checked": n, "bad": [names]}
"""
import hashlib, json, sys
import rados

IN_FLIGHT = 32  # enough to keep two cores busy; more only lengthens the queues of the OSDs


def content(seed, name, size):
    return hashlib.shake_128((seed + '/' + name).encode()).digest(size)


def in_batches(items):
    for start in range(0, len(items), IN_FLIGHT):
        yield items[start:start + IN_FLIGHT]


def load(io, manifest, count, size, seed):
    try:
        sums = json.load(open(manifest))
    except FileNotFoundError:
        sums = {}
    names = ['%s-%05d' % (seed, n) for n in range(count)]
    for batch in in_batches(names):
        pending = []
        for name in batch:
            data = content(seed, name, size)
            sums[name] = hashlib.sha256(data).hexdigest()
            pending.append(io.aio_write_full(name, data))
        for completion in pending:
            completion.wait_for_complete_and_cb()
            if completion.get_return_value() != 0:
                raise SystemExit('write failed: %d' % completion.get_return_value())
    json.dump(sums, open(manifest, 'w'))
    print(json.dumps({'written': count}))


def verify(io, manifest):
    sums = json.load(open(manifest))
    bad = []
    for batch in in_batches(sorted(sums)):
        found = {}

        def keep(name):
            def done(_completion, data):
                found[name] = hashlib.sha256(data or b'').hexdigest()
            return done

        pending = [io.aio_read(name, 64 << 20, 0, keep(name)) for name in batch]
        for completion in pending:
            completion.wait_for_complete_and_cb()
        bad += [name for name in batch if found.get(name) != sums[name]]
    print(json.dumps({'checked': len(sums), 'bad': bad}))


act, conf, keyring, pool, manifest = sys.argv[1:6]
with rados.Rados(conffile=conf, rados_id='admin', conf={'keyring': keyring}) as cluster:
    with cluster.open_ioctx(pool) as io:
        if act == 'load':
            load(io, manifest, int(sys.argv[6]), int(sys.argv[7]), sys.argv[8])
        else:
            verify(io, manifest)
