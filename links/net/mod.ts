// The one function of std's net that this project uses; std's net is not on npm. Never published.
// JSR users get jsr:@std/net itself.

export * from "./get_available_port.ts";
