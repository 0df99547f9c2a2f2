import { describeFreeze, describeInstance } from '../engine/guard.ts';
import type { ReadSystems } from '../engine/systems.ts';
import type { Markers } from '../task/markers.ts';
import type { Check, Finding } from './finding.ts';
import { isOurs } from './instances.ts';
import type { Wire } from './parts.ts';

/** Look at the markers of a cluster: whether the key may read them, whether it is frozen, who acts on it. */
export async function* examineMarkers(
  wire: Wire,
  cluster: string,
  { markers }: Pick<ReadSystems, 'markers'>,
  check: Check,
): AsyncGenerator<Finding> {
  const read: { found?: Markers } = {};
  const frozen = await check('freeze', async () => {
    read.found = await markers.get();
    return `${cluster} is not frozen`;
  });
  const { found } = read;
  if (!found) return yield frozen;
  const { freeze, instance } = found;
  const unfreeze = `when its reason is gone, type: ${wire.self} unfreeze --cluster ${cluster}`;
  yield freeze ? warning('freeze', `${cluster} is ${describeFreeze(freeze)}`, unfreeze) : frozen;
  if (!instance) return yield { ...frozen, name: 'instance', text: `nobody acts on ${cluster} now` };
  // a store that cannot be asked was told above; then it is not known which instance this is
  const own = await (await wire.engine()).instanceId({ start: false }).catch(() => undefined);
  const who = `${cluster} is acted on by ${describeInstance(instance)}`;
  if (own === undefined) return yield { ...frozen, name: 'instance', text: who };
  if (isOurs(instance, own)) return yield { ...frozen, name: 'instance', text: `${who}, which is this one` };
  const take = `runs of this one wait; to take over, type: ${wire.self} instance take --cluster ${cluster}`;
  yield warning('instance', who, take);
}

const warning = (name: string, text: string, fix: string): Finding => ({
  name,
  level: 'warn',
  text,
  fix,
  exitCode: 0,
});
