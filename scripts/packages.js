// Installs the Debian packages that tests, demo and lab need. Plain Node: nothing from npm is there yet when it runs.
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { env, getuid } from 'node:process';

/** Exit code where something that must be there is missing (sysexits: EX_CONFIG). */
const missingExitCode = 78;
const folders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
/** Another apt may be at work, for instance unattended upgrades just after boot. */
const lockSeconds = 300;

/** What the embedded default mode needs. */
export const enginePackages = [{ name: 'redis-server', binary: 'redis-server' }];

/** What the lab needs: Ceph, ssh, a monitoring system and a mail server, all real. */
export const labPackages = [
  { name: 'ceph-mon', binary: 'ceph-mon' },
  { name: 'ceph-mgr', binary: 'ceph-mgr' },
  { name: 'ceph-osd', binary: 'ceph-osd' },
  { name: 'ceph-base', binary: 'monmaptool' },
  { name: 'ceph-common', binary: 'ceph' },
  { name: 'openssh-server', binary: 'sshd' },
  { name: 'openssh-client', binary: 'ssh' },
  { name: 'prometheus-alertmanager', binary: 'prometheus-alertmanager' },
  { name: 'opensmtpd', binary: 'smtpd' },
];

/**
 * Install those packages whose binary is not there, each said before; no service of theirs is started. Silent and without
 * any child process when all are there.
 * @throws Error with `exitCode` 78 and one line that says what is missing and what to type.
 */
export function installPackages(packages, say) {
  const missing = packages.filter(({ binary }) => !isThere(binary));
  if (missing.length === 0) return;
  const names = missing.map(({ name }) => name);
  const asRoot = waysToRoot();
  if (asRoot === undefined || !isThere('apt-get')) {
    const byHand = isThere('apt-get')
      ? `sudo apt-get install --no-install-recommends ${names.join(' ')}`
      : undefined;
    const what = byHand === undefined ? `install them with this system's package manager` : `type: ${byHand}`;
    throw refusal(
      `missing: ${missing.map(({ name, binary }) => `${binary} (Debian package ${name})`).join(', ')}; ${what}`,
    );
  }
  for (const { name, binary } of missing)
    say(`installing the Debian package ${name} (there is no ${binary})`);
  install(asRoot, names);
  const still = missing.filter(({ binary }) => !isThere(binary));
  if (still.length > 0)
    throw refusal(`installed, and still missing: ${still.map(({ binary }) => binary).join(', ')}`);
}

function isThere(binary) {
  return folders.some((folder) => {
    try {
      accessSync(join(folder, binary), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function waysToRoot() {
  if (getuid() === 0) return [];
  const sudo = isThere('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;
  return sudo ? ['sudo', '-n'] : undefined;
}

// Debian's packages start their services unless policy-rc.d says 101. One that says so already is left alone; another is
// put aside and put back, also after a signal; one that a killed installation left aside is put back first.
const script = `
policy=/usr/sbin/policy-rc.d
aside=$policy.before-cephflow
put_back() { rm -f "$policy"; if [ -e "$aside" ]; then mv "$aside" "$policy"; fi; }
[ ! -e "$aside" ] || put_back
said=0; if [ -x "$policy" ]; then "$policy" any start > /dev/null 2>&1; said=$?; fi
if [ "$said" != 101 ]; then
  if [ -e "$policy" ]; then mv "$policy" "$aside"; fi
  trap put_back EXIT
  trap 'exit 130' INT TERM HUP
  printf '#!/bin/sh\\nexit 101\\n' > "$policy" && chmod 755 "$policy" || exit 1
fi
export DEBIAN_FRONTEND=noninteractive
lock="-o DPkg::Lock::Timeout=${lockSeconds}"
apt-get install -y -q $lock --no-install-recommends "$@" && exit 0
echo "--- once more, with new package lists"
apt-get update -q $lock && apt-get install -y -q $lock --no-install-recommends "$@"
`;

function install(asRoot, names) {
  const [file, ...words] = [...asRoot, 'sh', '-c', `exec 2>&1\n${script}`, 'sh', ...names];
  const done = spawnSync(file, words, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...env, PATH: folders.join(':') },
  });
  if (done.status === 0) return;
  const last = (done.stdout ?? '').trim().split('\n').slice(-15).join('\n');
  throw refusal(`apt-get could not install ${names.join(' ')} (exit code ${done.status}):\n${last}`);
}

function refusal(message) {
  return Object.assign(new Error(message), { exitCode: missingExitCode });
}
