// `npm run lab`: brings a lab up, says how to use it, stays until ^C, then takes everything down.
import process, { argv, exit, stdout } from 'node:process';
import { labPackages } from './packages.js';
import { prepare } from './prepare.js';

prepare({ npm: true, packages: labPackages });

const { tsImport } = await import('tsx/esm/api');
const { startLab } = await tsImport('../test/lab/lab.ts', import.meta.url);

const spareNodes = argv.includes('--spare') ? 1 : 0;
const racks = argv.includes('--racks');
stdout.write('Bringing a real Ceph cluster up: 1 mon, 1 mgr, 4 nodes of 2 OSDs (up to 15 s) …\n');
let lab;
let ending = false;
const end = async () => {
  if (ending) return;
  ending = true;
  await lab?.stop();
  exit(0);
};
process.on('SIGINT', end);
process.on('SIGTERM', end);
lab = await startLab({ spareNodes, racks });
const ssh = `ssh -i ${lab.ssh.key} -p ${lab.ssh.port} -o UserKnownHostsFile=${lab.ssh.knownHosts}`;
stdout.write(`
The lab is up in ${lab.dir}. ^C takes it down.

  export CEPH_CONF=${lab.conf}
  ceph -s
  cephflow --config ${lab.configFile} --cluster lab …

Nodes (root, host keys in known_hosts):
${[...lab.nodes.values()].map(({ name, address }) => `  ${name}   ${ssh} root@${address}`).join('\n')}

Alertmanager   ${lab.alertmanagerUrl}
Mails          ${lab.dir}/maildir/new
Monitor's log  ${lab.dir}/log/cluster.log
`);
setInterval(() => {}, 2 ** 30);
