/** Set a member that does not show where members are listed. */
export function hide(owner: object, name: PropertyKey, value: unknown): void {
  Object.defineProperty(owner, name, { value, configurable: true, writable: true });
}
