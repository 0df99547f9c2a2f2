// npm run demo: a real Ceph cluster on this machine, one node of it replaced by cephflow, every object checked.
// It plays the technicians itself, and says so. Ends with 0 and leaves no process.
import { exit, stdout } from 'node:process';
import { enginePackages, labPackages } from './packages.js';
import { prepare } from './prepare.js';

const began = Date.now();
prepare({ npm: true, build: true, packages: [...enginePackages, ...labPackages] });

const { tsImport } = await import('tsx/esm/api');
const { startLab } = await tsImport('../test/lab/lab.ts', import.meta.url);
const { operator } = await tsImport('../test/stories/operator.ts', import.meta.url);

const node = 'ceph-osd-02';
const say = (text) => stdout.write(`\n== ${text}\n`);
const seconds = (since) => ((Date.now() - since) / 1000).toFixed(1);

let lab;
let ada;
let code = 1;
try {
  say('a real Ceph cluster: 1 monitor, 1 manager, 4 nodes of 2 OSDs, ssh, Alertmanager, a mail server');
  lab = await startLab({ extraConfig: 'engine: { poll: 1s }\n' });
  await lab.loadObjects({ count: 400, sizeBytes: 262_144, seed: 'demo' });
  stdout.write((await lab.ceph('osd', 'tree')).stdout);
  await check('400 objects of 256 KiB written');

  say(`cephflow replace --node ${node} --confirm ${node}`);
  ada = await operator(lab.configFile);
  const replace = ada.start('replace', '--node', node, '--confirm', node);
  const shown = follow(replace);
  await Promise.race([replace.says('cephflow approve', 300), replace.ended]);
  await playTechnicians();
  ({ code } = await replace.ended);
  shown.end();
  await check('after the replacement');
  stdout.write((await lab.ceph('osd', 'tree')).stdout);
  say(
    `done in ${seconds(began)} s, exit code ${code}. On your cluster: cephflow replace --node NAME --dry-run`,
  );
} finally {
  await ada?.leave();
  await lab?.stop();
}
exit(code);

/** Print what the command says as it says it; `end` prints the rest. */
function follow(running) {
  let printed = 0;
  const print = () => {
    const said = running.said();
    stdout.write(said.slice(printed));
    printed = said.length;
  };
  const timer = setInterval(print, 100);
  return {
    end() {
      clearInterval(timer);
      print();
    },
  };
}

async function playTechnicians() {
  const [mail] = await lab.mails();
  if (!mail) return;
  say(`the mail that reached the technicians (${mail.to})`);
  stdout.write(`Subject: ${mail.subject}\n\n${mail.text.trim()}\n`);
  say(`this demo plays the technicians: it unplugs the old ${node}, plugs an empty one in, and answers`);
  await lab.addNode(node);
  stdout.write(`$ cephflow approve @latest --comment "new chassis in place"\n`);
  const { stdout: said } = await ada.cephflow('approve', '@latest', '--comment', 'new chassis in place');
  stdout.write(said);
}

async function check(when) {
  const since = Date.now();
  const { checked, bad } = await lab.verifyObjects();
  say(`${when}: ${checked} objects read back, ${bad.length} with a wrong checksum (${seconds(since)} s)`);
  if (bad.length > 0) throw new Error('data was lost: this must never happen, please report it');
}
