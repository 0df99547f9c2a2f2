import { connect } from 'node:net';
import { asCephflowError, CephflowError } from '../base/errors.ts';
import type { Actor } from '../engine/store.ts';
import type { ReadSystems } from '../engine/systems.ts';
import type { OsdMap } from '../task/ceph.ts';
import { examineMarkers } from './examine-markers.ts';
import type { Check, Finding } from './finding.ts';
import { readMail } from './open-systems.ts';
import type { Wire } from './parts.ts';

/** Nodes asked over ssh at a time: each is a connection and a key exchange. */
const nodesAtOnce = 16;
/** A mail server or Alertmanager that does not take a connection within this is not there. */
const connectMs = 5000;
/** Longest that all questions to one system may take together. */
const systemMs = 60_000;

const ok = (name: string, text: string): Finding => ({ name, level: 'ok', text, exitCode: 0 });

/**
 * Look at this machine, Redis, the agent, the records of runs, Ceph, its nodes, monitoring and mail, one after the other.
 * Only reads, unless the records are to be mended: `repairBy`.
 */
export async function* examine(wire: Wire, repairBy?: Actor): AsyncGenerator<Finding> {
  yield ok('node', `Node ${process.version}`);
  const config = await check('config', async () => {
    const { files, clusters } = await wire.config();
    const from = files.length === 0 ? 'no file: one cluster, ceph, by the local ceph' : files.join(', ');
    return `${from}; clusters: ${Object.keys(clusters).join(', ')}`;
  });
  yield config;
  if (config.level === 'FAIL') return;
  yield check('tasks', async () => `${(await wire.library()).size} tasks`);
  yield* (await wire.engine()).examine(check, repairBy);
  yield* examineCluster(wire);
  yield* examineOutside(wire);
}

const check: Check = async (name, ask) => {
  try {
    return ok(name, await ask());
  } catch (thrown) {
    return failure(name, asCephflowError(thrown));
  }
};

function failure(name: string, error: CephflowError): Finding {
  const { code, message, hint, command, exitCode } = error;
  const said = command?.stderr === undefined ? '' : `\n${command.stderr}`;
  return {
    name,
    level: 'FAIL',
    text: `${code}  ${message}${said}`,
    ...(hint === undefined ? {} : { fix: hint }),
    exitCode,
  };
}

async function* examineCluster(wire: Wire): AsyncGenerator<Finding> {
  const found: { systems?: ReadSystems; map?: OsdMap } = {};
  yield check('ceph', async () => {
    const systems = (await wire.systems(await wire.clusterName())).read(AbortSignal.timeout(systemMs));
    const map = await systems.ceph.osdMap();
    Object.assign(found, { systems, map });
    return `cluster ${map.fsid}: ${map.nodes.length} nodes, ${map.osds.length} OSDs`;
  });
  const { systems, map } = found;
  if (!systems || !map) return;
  const { ceph } = systems;
  yield check('ceph health', async () => {
    const [health, status] = [await ceph.health(), await ceph.status()];
    if (!status.isMgrAvailable) throw new CephflowError('CEPH_MGR_DOWN', 'no manager is active');
    return [health.status, ...health.checks.map((one) => `${one.code}: ${one.summary}`)].join('\n');
  });
  yield* examineMarkers(wire, await wire.clusterName(), systems, check);
  yield check('ceph statistics', async () => `${(await ceph.usage()).length} OSDs tell how full they are`);
  const askNode = ({ name }: { readonly name: string }) =>
    check(`ssh ${name}`, async () => `answers as ${await systems.machine(name).hostname()}`);
  for (let first = 0; first < map.nodes.length; first += nodesAtOnce) {
    yield* await Promise.all(map.nodes.slice(first, first + nodesAtOnce).map(askNode));
  }
}

async function* examineOutside(wire: Wire): AsyncGenerator<Finding> {
  const config = await wire.config();
  const { alertmanager } = config.monitoring;
  if (alertmanager) {
    yield check('alertmanager', async () => {
      const systems = await wire.systems(await wire.clusterName());
      await systems.read(AbortSignal.timeout(systemMs)).monitoring.downtimes('doctor');
      return `${alertmanager.url} answers`;
    });
  } else
    yield absent('alertmanager', 'monitoring.alertmanager is not in the config: no downtimes can be set');
  if (config.mail) {
    yield check('mail', async () => {
      const { hostname, port, protocol } = new URL((await readMail(config))?.url ?? '');
      const standardPort = protocol === 'smtps:' ? 465 : 587;
      const place = { host: hostname, port: Number(port) || standardPort };
      await reach(place);
      return `${place.host}:${place.port} takes connections`;
    });
  } else yield absent('mail', 'mail is not in the config: no mail can be sent');
  const contacts = Object.keys(config.contacts);
  if (contacts.length > 0) yield ok('contacts', contacts.join(', '));
  else yield absent('contacts', 'the config has no contacts: nobody can be told');
}

const absent = (name: string, text: string): Finding => ({
  name,
  level: 'warn',
  text,
  fix: 'config.example.yaml shows how',
  exitCode: 0,
});

function reach({ host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (what: string, cause?: unknown) =>
      reject(
        new CephflowError('NOTIFICATION_FAILED', `the mail server ${host}:${port} ${what}`, {
          hint: 'check the server in the file that mail.url-file names',
          cause,
        }),
      );
    const socket = connect({ host, port, timeout: connectMs });
    socket.on('connect', () => {
      socket.end();
      resolve();
    });
    socket.on('timeout', () => {
      socket.destroy();
      refuse(`does not answer within ${connectMs / 1000} s`);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => refuse(`is not reachable (${error.code})`, error));
  });
}
