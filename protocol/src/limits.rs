//! All bounds of the wire, with unit and reason. `docs/protocol.md` section 9 repeats them.

/// Version of the wire this crate speaks.
pub const PROTOCOL_VERSION: u16 = 2;

/// Path of the WebSocket upgrade.
pub const PATH: &str = "/v2";

/// WebSocket subprotocol (RFC 6455 section 1.9).
pub const SUBPROTOCOL: &str = "hearth.v2";

/// Bytes of the payload of a marked entry: an own retraction or a departure, which no rule of the room stops.
pub const MARKED_BYTES_MAX: usize = 1024;

/// Minimum milliseconds between two marked entries of one member.
pub const MARKED_MILLIS: u64 = 10_000;

/// Bytes to which the plaintext of a marked entry is padded.
pub const MARKED_PADDING: usize = 512;

/// Bytes of one WebSocket message or frame. Holds the largest payload and all effects of an act.
pub const FRAME_BYTES_MAX: usize = 240 * 1024;

/// Bytes of one entry's payload. Holds the largest MLS commit of the largest room: 100 members with X-Wing keys, or 1,000
/// of suite 3, if no member has renewed their keys.
pub const PAYLOAD_BYTES_MAX: usize = 192 * 1024;

/// Bytes of one sealed preview (title and agreement), padded.
pub const PREVIEW_BYTES_MAX: usize = 80 * 1024;

/// Bytes of one sealed knock (KeyPackage, name, acknowledgement).
pub const KNOCK_BYTES_MAX: usize = 24 * 1024;

/// Bytes of a sealed decline note.
pub const NOTE_BYTES_MAX: usize = 8 * 1024;

/// Bytes of one blob: a Welcome with its ratchet tree. One of 1,000 leaves takes 0.4 MiB in suite 3.
pub const BLOB_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Bytes of one part of a blob in one frame.
pub const BLOB_PART_BYTES_MAX: usize = 96 * 1024;

/// Effects in one submission. One act changes few numbers; an enacted agreement removes many members.
pub const EFFECTS_MAX: usize = 1024;

/// Opening hours: intervals of one week.
pub const HOURS_WINDOWS_MAX: usize = 64;

/// Opening hours: changes of the offset from UTC that are announced ahead.
pub const HOURS_OFFSETS_MAX: usize = 64;

/// Pending knocks of one room.
pub const KNOCKS_MAX: usize = 64;

/// Invites of one room that a relay keeps, including spent ones, which new ones replace.
pub const INVITES_MAX: usize = 256;

/// Members of one room. The rooms' own rules admit fewer if keys are larger.
pub const MEMBERS_MAX: u32 = 1000;

/// Rooms of one connection.
pub const ROOMS_PER_CONNECTION_MAX: usize = 64;

/// Protocol versions offered in a hello.
pub const VERSIONS_MAX: usize = 16;

/// Characters of an invite or grant link. A longer string is not a link of Hearth.
pub const LINK_CHARS_MAX: usize = 2048;

/// Bytes of a relay address (`host:port`) in a link.
pub const ADDRESS_BYTES_MAX: usize = 255;

/// Default seconds for which the relay keeps an entry: 30 days.
pub const RETENTION_SECONDS_DEFAULT: u64 = 30 * 24 * 3600;

/// Minimum seconds for which a relay keeps an entry; a shorter time would race with its delivery.
pub const RETENTION_SECONDS_MIN: u64 = 60;

/// Maximum seconds for which a relay keeps an entry: ten years.
pub const RETENTION_SECONDS_MAX: u64 = 122 * RETENTION_SECONDS_DEFAULT;

/// Milliseconds for which a relay keeps a room after its end: seven days.
pub const ENDED_KEPT_MILLIS: u64 = 7 * 24 * 3_600_000;

/// Minimum seconds for which a room's own rules keep messages: an hour, so that members who look in rarely can read them.
pub const EXPIRE_SECONDS_MIN: u64 = 3600;

/// Maximum seconds for which a room's own rules keep messages: ten years of 365 days.
pub const EXPIRE_SECONDS_MAX: u64 = 10 * 365 * 24 * 3600;

/// Minimum milliseconds between two knocks of one key.
pub const KNOCK_MILLIS: u64 = 30_000;

/// Milliseconds after a cancelled knock in which other knocks with the same invite cause no notice.
pub const KNOCK_QUIET_MILLIS: u64 = 10 * 60_000;

/// Seats of one lane: its owner and eight moderators.
pub const LANE_SEATS_MAX: usize = 9;

/// Open lanes of a room beyond the members of its grant: the desk, and one for a member who is removed while the next one comes.
pub const LANES_BEYOND_MEMBERS: u32 = 2;

/// Minimum milliseconds between two openings of lanes of one room, in the long run; at once, as many as may be open.
pub const LANE_MILLIS: u64 = 60_000;

/// Bytes that a lane may hold at a time: entries, Welcomes and rows.
pub const LANE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Bytes of one sealed note. The largest class takes 17,524 with X-Wing.
pub const SEALED_NOTE_BYTES_MAX: usize = 18 * 1024;

/// Bytes of the notes that wait for one key of a room, with 128 for each note.
pub const NOTES_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Bytes of the notes that wait for all keys of a room that do not moderate, with 128 for each note.
pub const NOTES_OTHERS_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Milliseconds for which a note waits, and for which a former member may send some: 30 days.
pub const NOTE_KEPT_MILLIS: u64 = 30 * 24 * 3_600_000;

/// Notes that one key may send at once.
pub const NOTES_BURST: u64 = 16;

/// Minimum milliseconds between two notes of one key, in the long run.
pub const NOTE_MILLIS: u64 = 60_000;

/// Minimum milliseconds between two notes of a former member.
pub const NOTE_GONE_MILLIS: u64 = 3_600_000;

/// Notes of one key to another in 24 hours, which begin with the first.
pub const NOTES_PER_DAY_MAX: u32 = 64;

/// Ids in one request to drop notes.
pub const NOTES_DROPPED_MAX: usize = 256;

/// Sizes, in bytes, to which every plaintext is padded before encryption, so that lengths reveal little.
pub const PADDING_BUCKETS: [usize; 5] = [256, 1024, 4096, 16 * 1024, 64 * 1024];

/// Maximum bytes of the effect that removes a member, the most numerous one in an act.
const REMOVE_BYTES_MAX: usize = 40;

const _: () = assert!(PAYLOAD_BYTES_MAX + EFFECTS_MAX * REMOVE_BYTES_MAX + 4096 < FRAME_BYTES_MAX);
const _: () = assert!(RETENTION_SECONDS_MIN <= EXPIRE_SECONDS_MIN);
const _: () = assert!(EXPIRE_SECONDS_MAX <= RETENTION_SECONDS_MAX);
const _: () = assert!(PREVIEW_BYTES_MAX < FRAME_BYTES_MAX);
const _: () = assert!(BLOB_PART_BYTES_MAX < FRAME_BYTES_MAX);
const _: () = assert!(SEALED_NOTE_BYTES_MAX < FRAME_BYTES_MAX);
const _: () = assert!(PADDING_BUCKETS[4] < PAYLOAD_BYTES_MAX);
