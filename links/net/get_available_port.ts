// getAvailablePort as @std/net has it, for a checkout that reaches only the npm registry. Never published.
// Only tests and examples use it; the library never asks for a port this way.

/** Options of {@linkcode getAvailablePort}. */
export interface GetAvailablePortOptions {
  /** The port to return if it is free. */
  preferredPort?: number;
}

/** A TCP port that was free a moment ago: the preferred one when it is, else one of the system's choice. */
export function getAvailablePort(options?: GetAvailablePortOptions): number {
  const preferred = options?.preferredPort;
  if (preferred !== undefined && (!Number.isInteger(preferred) || preferred < 1 || preferred > 65535)) {
    throw new RangeError(`Cannot get port ${preferred}: it must be a whole number from 1 to 65535`);
  }
  for (const port of preferred === undefined ? [0] : [preferred, 0]) {
    try {
      using listener = Deno.listen({ port });
      return listener.addr.port;
    } catch (error) {
      if (port === 0 || !(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new Deno.errors.AddrInUse("Cannot get a port: none is free");
}
