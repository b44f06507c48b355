// isMulticast: the two ranges, and text that is no address.
// Groups that cannot be joined: join_test.ts.
import { assert, assertFalse, assertThrows } from "@std/assert";
import { isMulticast } from "../../multicast/mod.ts";
import { test } from "../needs.ts";

test("isMulticast() knows the ranges of both families to their ends", {}, () => {
  for (
    const group of [
      "224.0.0.0",
      "239.255.255.255",
      "ff00::",
      "ff02::fb%eth0",
      "FFFF:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ]
  ) {
    assert(isMulticast(group), group);
  }
  for (
    const other of ["223.255.255.255", "240.0.0.0", "255.255.255.255", "feff::1", "::", "::ffff:224.0.0.1", "0.0.0.0"]
  ) {
    assertFalse(isMulticast(other), other);
  }
});

test("isMulticast() throws SyntaxError for text that is no address", {}, () => {
  for (
    const wrong of [
      "",
      "localhost",
      "224.0.0",
      "224.0.0.0.1",
      "224.0.0.01",
      "ff02::1%",
      "[ff02::1]",
      " 224.0.0.1",
      "ff02:::1",
    ]
  ) {
    assertThrows(() => isMulticast(wrong), SyntaxError, "is no IPv4 or IPv6 address");
  }
});

test("isMulticast() throws TypeError for what is no text", {}, () => {
  for (const wrong of [undefined, null, 224, {}, ["224.0.0.1"]]) {
    assertThrows(() => isMulticast(wrong as never), TypeError, "it must be an IPv4 or IPv6 address");
  }
});
