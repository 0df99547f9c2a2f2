/** Tell how one thing that cephflow needs is. `fix`: what to do. `exitCode`: what the code of a failure ends with. */
export interface Finding {
  readonly name: string;
  readonly level: 'ok' | 'warn' | 'FAIL';
  readonly text: string;
  readonly fix?: string;
  readonly exitCode: number;
}

/** Turn an answer into `ok`, and what is thrown into `FAIL` with its hint. */
export type Check = (name: string, ask: () => Promise<string>) => Promise<Finding>;
