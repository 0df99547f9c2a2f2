/** One command that the monitor recorded as finished, from its audit log. */
export interface AuditedCommand {
  readonly entity: string;
  readonly prefix: string;
  readonly words: Readonly<Record<string, unknown>>;
}

/**
 * Read the finished commands out of a monitor's log. A purge or destroy is sent to the manager, which checks it and has the
 * monitor carry out `osd purge-actual`: that is the line to count.
 */
export function auditedCommands(log: string): AuditedCommand[] {
  const found: AuditedCommand[] = [];
  for (const line of log.split('\n')) {
    const match = /entity='([^']*)' cmd='?(\[\{.*\}\])'?: finished/.exec(line);
    if (match === null) continue;
    for (const words of parse(match[2] ?? ''))
      found.push({ entity: match[1] ?? '', prefix: String(words['prefix']), words });
  }
  return found;
}

/** A command with a quote in it may be cut or escaped in the log; those are not ours. */
function parse(text: string): Record<string, unknown>[] {
  try {
    return JSON.parse(text) as Record<string, unknown>[];
  } catch {
    return [];
  }
}
