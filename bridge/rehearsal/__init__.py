"""A phone call without a phone: a simulated carrier, an embedded Realtime server, a line with its faults.

Part of the product, and what the tests stand on. It meets the bridge only over the protocols, as Twilio and the model
do, and imports nothing of `bridge.edge`. All waiting goes through one `bridge.clock.Clock`.
"""
