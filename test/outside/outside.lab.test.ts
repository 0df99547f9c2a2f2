import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAlertmanager, defaultMatchers } from '../../src/outside/alertmanager.ts';
import { sendMail } from '../../src/outside/mail.ts';
import { createPeople } from '../../src/outside/people.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { until } from '../lab/until.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ nodes: 3, osdsPerNode: 1 });
}, 120_000);
afterAll(() => lab?.stop());

const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000);
const downtime = (key: string, minutes: number) => ({
  key,
  node: 'ceph-osd-02',
  comment: 'cephflow run 1: hardware work',
  startsAt: new Date(),
  endsAt: inMinutes(minutes),
});

describe('Alertmanager', () => {
  const alertmanager = () => createAlertmanager({ url: lab.alertmanagerUrl, matchers: defaultMatchers });
  const silencesOf = async (key: string) =>
    (await lab.silences()).filter((one) => one.comment.includes(`[key ${key}]`));

  it('a downtime set twice is one silence, moved to the new end', async () => {
    await alertmanager().setDowntime(downtime('run-1/ceph-osd-02', 5));
    const later = downtime('run-1/ceph-osd-02', 30);
    await alertmanager().setDowntime(later);
    const found = await silencesOf('run-1/ceph-osd-02');
    expect(found.map((one) => one.status.state)).toEqual(['active']);
    expect(Date.parse(found[0]?.endsAt ?? '')).toBeCloseTo(later.endsAt.getTime(), -4);
    expect(found[0]?.matchers).toEqual([
      { name: 'instance', value: 'ceph-osd-02(:[0-9]+)?', isRegex: true, isEqual: true },
    ]);
  });

  it('an ended downtime is over, ending it again is fine, and it counts as ended, not lapsed', async () => {
    await alertmanager().setDowntime(downtime('run-2/ceph-osd-02', 5));
    await alertmanager().endDowntime('run-2/ceph-osd-02');
    await alertmanager().endDowntime('run-2/ceph-osd-02');
    const states = (await alertmanager().downtimes('run-2/ceph-osd-02')).map((one) => one.state);
    expect(states).toEqual(['ended']);
  });

  it('a downtime whose time ran out has lapsed', async () => {
    await alertmanager().setDowntime({
      ...downtime('run-3/ceph-osd-02', 0),
      endsAt: new Date(Date.now() + 1500),
    });
    await until('the silence runs out', 20, async () => {
      const states = (await alertmanager().downtimes('run-3/ceph-osd-02')).map((one) => one.state);
      return states.length === 1 && states[0] === 'lapsed';
    });
  });

  it('a refusal shows what Alertmanager said', async () => {
    const past = { ...downtime('run-4/ceph-osd-02', 0), endsAt: new Date(Date.now() - 60_000) };
    await expect(alertmanager().setDowntime(past)).rejects.toThrow(
      /refused POST silences \(HTTP 400\): .*end time/,
    );
  });

  it('one that does not answer says where it was looked for', async () => {
    const nowhere = createAlertmanager({ url: 'http://127.0.0.1:1', matchers: defaultMatchers });
    await expect(nowhere.downtimes('x')).rejects.toThrow(
      'Alertmanager at http://127.0.0.1:1 does not answer',
    );
  });
});

describe('people', () => {
  const url = () => readFileSync(`${lab.dir}/smtp-url`, 'utf8').trim();
  const message = {
    key: 'run-1/tell',
    subject: 'Please replace ceph-osd-02',
    text: 'Swap it.\n\nThank you.',
  };

  it('a mail arrives with its text and a Message-ID made from the key', async () => {
    await sendMail({ url: url(), from: 'cephflow@lab.example' }, 'dc@lab.example', message);
    await until('the mail arrives', 20, async () => (await lab.mails()).length > 0);
    const mail = (await lab.mails()).at(-1);
    expect(mail).toMatchObject({ subject: message.subject, to: 'dc@lab.example' });
    expect(mail?.text.trim()).toBe(message.text);
    expect(mail?.raw).toContain('Message-ID: <run-1.tell@cephflow>');
  });

  it('a mail server that is not there is named, its password is not', async () => {
    const send = sendMail(
      { url: 'smtp://ada:secret@127.0.0.1:1', from: 'a@b.example' },
      'dc@lab.example',
      message,
    );
    const error = await send.catch((thrown: Error) => thrown);
    expect(String(error)).toContain('mail to dc@lab.example was not accepted by 127.0.0.1:1:');
    expect(String(error)).not.toContain('secret');
  });

  it('a webhook gets the message and a key to recognise a repeat by', async () => {
    const got: { key: unknown; body: string }[] = [];
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (piece) => {
        body += piece;
      });
      request.on('end', () => {
        got.push({ key: request.headers['idempotency-key'], body });
        response.statusCode = body.includes('refuse me') ? 500 : 204;
        response.end(body.includes('refuse me') ? 'out of order' : undefined);
      });
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    try {
      const webhook = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
      const people = createPeople({ contacts: { dc: { webhook } }, mail: undefined });
      expect(await people.tell({ contact: 'dc' }, message)).toEqual(['webhook']);
      expect(got).toEqual([{ key: message.key, body: JSON.stringify(message) }]);
      const refused = people.tell({ contact: 'dc' }, { ...message, text: 'refuse me' });
      await expect(refused).rejects.toThrow(/refused the message \(HTTP 500\): out of order/);
    } finally {
      await new Promise((done) => server.close(done));
    }
  });

  it('an unknown contact, or an address without a server, says what to add to the config', async () => {
    const people = createPeople({ contacts: { dc_team: { mail: 'a@b.example' } }, mail: undefined });
    await expect(people.tell({ contact: 'dc_taem' }, message)).rejects.toThrow(
      'there is no contact dc_taem: the config has dc_team. Did you mean "dc_team"?',
    );
    await expect(people.tell({ contact: 'dc_team' }, message)).rejects.toThrow(
      'contact dc_team has a mail address, but there is no mail server',
    );
  });
});
