"""Caps on every size that a stranger controls, in bytes unless a name says otherwise."""

DEFINITION_FILE = 1_000_000
AREAS_FILE = 64_000_000
PAGE_FILE = 1_000_000
COMPILED_TEMPLATES = 64  # held in memory: those of a site in two languages
TOML_KEY_PARTS_COUNT = 16
INPUTS_ARCHIVE = 64_000_000
INPUTS_COUNT = 10_000
NAME_CHARACTERS = 300
CANDIDATES_COUNT = 1_000
CONTESTS_COUNT = 20_000
LEVELS_COUNT = 12
TALLIED_AREAS_COUNT = (
    20_000_000  # areas times contests: figures of each are held in memory; a nation's 92,000 for 200 contests
)
TILE_PLACE = 99
MAP_FILE = 8_000_000
MAP_POINTS = 500_000
MAP_RING_POINTS = 4 * MAP_POINTS  # arcs are shared: by neighbours, and by an area and those in it
STATIONS_ON_PAGE = 60  # a page of these takes at most 30 kB on the wire
PROGRESS_POINTS = 200  # a long count has thousands of releases

COVER_FILE = 256_000
SIGNATURE_FILE = 4_096
ALLOWED_SIGNERS_FILE = 16_000_000
REFUSED_RECORDS_COUNT = 1_000  # in one run, of each official who is enrolled now, and of all others together
ROWS_FILE = 256_000_000
SCAN_FILE = 64_000_000
SCANS_COUNT = 10_000
THUMBNAIL_FILE = 40_000
PACKAGE_FILES = 512_000_000
ARCHIVE_LIST = 8_000_000  # of a zip's members; a byte of it takes ten in memory
ARCHIVE_MEMBERS_COUNT = SCANS_COUNT + 3
TEXT_CHARACTERS = 2_000
FIGURE = 999_999_999
REVISION = 9_999

IMPORT_FILE = 4_000_000_000
IMPORT_MEMBERS_COUNT = 2_000_000
SIREKAP_FILE = 1_000_000
