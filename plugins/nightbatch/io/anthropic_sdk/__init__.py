"""The Message Batches API through the official SDK.

`batches` is for tasks, and `async_batches` for the triggerer's event loop, over an async client or one `in_threads`.
`client` says how both use the SDK, `errors` what a status or a failure means for the buyer, and `http_library` which
HTTP library the installed SDK sends with.
"""
