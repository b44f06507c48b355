// A membership that follows the machine: joins on interfaces that appear, forgets those that go, joins anew after a link
// was down. How changes are heard: watch.ts. What is done on each interface: membership.ts, filter.ts.
import { type Descriptor, descriptorOf } from "../internal/descriptor.ts";
import type { NetworkInterface } from "../internal/netif.ts";
import type { InterfaceChange } from "../internal/netlink.ts";
import { hold, leave, release, wait, type Waiter } from "../internal/reactor.ts";
import type { SocketLike } from "../options/mod.ts";
import { openedHere } from "../socket/socket.ts";
import type { KernelMembership } from "./membership.ts";
import type { Watch } from "./watch.ts";

const DOING = "Cannot follow the network interfaces";

/** Whether a group can be joined there. Linux's loopback can, and does not say so. */
export function canMulticast({ multicast, loopback }: NetworkInterface): boolean {
  return multicast || loopback;
}

/** Has a membership follow the machine, until it is left or its socket is closed; keeps no program alive. */
export function follow(socket: SocketLike, found: Descriptor, membership: KernelMembership, watch: Watch): void {
  const noticed = whenClosed(socket, found, () => watch.close());
  membership.follows(() => watch.close());
  new Follower(membership, watch).run().finally(noticed);
}

class Follower {
  readonly #membership: KernelMembership;
  readonly #watch: Watch;
  /** Which interfaces are up, by index. */
  readonly #up: Map<number, boolean>;

  constructor(membership: KernelMembership, watch: Watch) {
    this.#membership = membership;
    this.#watch = watch;
    this.#up = new Map(watch.list().map(({ index, up }) => [index, up]));
  }

  async run(): Promise<void> {
    try {
      for (let change = await this.#watch.next(); change !== null; change = await this.#watch.next()) {
        this.#apply(change);
        this.#tell(change);
      }
    } finally {
      this.#watch.close();
    }
  }

  #apply({ kind, interface: one }: InterfaceChange): void {
    const { index, name, up } = one;
    const wasUp = this.#up.get(index) ?? false;
    this.#up.set(index, up);
    const has = this.#membership.has(index);
    // What is not possible on one interface is no matter of the others, and tried again when it changes.
    if (kind === "removed") {
      this.#up.delete(index);
      // The socket would count it for ever, and an interface that gets its index could not be joined.
      if (has) attempt(() => this.#membership.leaveOn(index, DOING));
      return;
    }
    if (!canMulticast(one)) return;
    // A switch behind a link that was down may have forgotten, and systems do not all tell it again.
    if (has && up && !wasUp) attempt(() => this.#membership.leaveOn(index, DOING));
    if (!this.#membership.has(index)) attempt(() => this.#membership.joinOn({ index, name }, DOING));
  }

  #tell(change: InterfaceChange): void {
    try {
      this.#membership.onChange?.(change);
    } catch (error) {
      // It is the user's, who shall hear of it, and not the end of following.
      reportError(error);
    }
  }
}

function attempt(call: () => void): void {
  try {
    call();
  } catch {
    // `Membership.interfaces` tells where it is joined.
  }
}

/** Calls a function once a socket is closed, whoever closes it; what comes back ends the watch. */
function whenClosed(socket: SocketLike, { fd, low, high }: Descriptor, call: () => void): () => void {
  const isStill = () => {
    try {
      const now = descriptorOf(socket, DOING);
      return now.fd === fd && now.low === low && now.high === high;
    } catch {
      return false;
    }
  };
  // Those of this library say so themselves; others are looked at now and then.
  const entry = hold(fd, openedHere().has(fd) ? null : isStill);
  let over = false;
  const again = () => {
    if (over) return;
    try {
      wait(entry, waiter);
    } catch {
      call();
    }
  };
  const waiter: Waiter = {
    interest: 0,
    refed: false,
    // An error of the socket is not its end.
    ready: () => queueMicrotask(again),
    closed: call,
  };
  again();
  return () => {
    over = true;
    leave(entry, waiter);
    release(entry);
  };
}
