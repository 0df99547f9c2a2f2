/** Hold the options that every command takes. */
export interface Globals {
  readonly cluster?: string;
  readonly config?: string;
  readonly output: 'text' | 'json';
  readonly quiet: boolean;
  readonly verbose: boolean;
}
