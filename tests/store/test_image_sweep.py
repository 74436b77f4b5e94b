"""What a crash, a refusal or an absent subscriber leaves behind is found, and nothing that is wanted is lost."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from command_api.images.pictures import picture_of
from events.images.errors import ImagesUnavailable
from events.log.event import encode_event
from events.person.commands import ChangeImage
from events.person.fields import NO_IMAGE, Image
from events.person.rejections import ImageExpired, PersonNotFound
from operations.__main__ import main
from service_kit.ids import new_id
from service_kit.images import FoundImage, Source, image_name
from service_kit.images.cloud import CloudinaryImages
from service_kit.images.gridfs import GridFsImages
from tests.pictures import halves, photo, saved
from tests.store.given import check_stream, create, delete, envelope, keys_of, run, stream, update
from workers.images.removal import ImageRemover
from workers.images.sweep import ImageSweep, Known, Verdict, judge

PICTURE = picture_of(photo())
OLDER = timedelta(seconds=-60)
"""Everything is older than a minute from now."""


def change(person_id: str, image: Image = NO_IMAGE, command_id: str | None = None) -> ChangeImage:
    given = envelope(person_id)
    return ChangeImage(data=image, **{**given, "command_id": command_id or given["command_id"]})


def later() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=1)


class Scene:
    """A store of images beside a worker's collections, and who tidies it."""

    def __init__(self, client, store, stores) -> None:
        self.records, self.images = store, stores[0]
        database = store._db.name
        self.sweep = ImageSweep(client, database, keys_of(store), stores, store, later)
        self.remover = ImageRemover(client, database, keys_of(store), stores)

    async def stored(self, person_id: str) -> tuple[Source, ChangeImage]:
        """Store a picture as the command API does; return the command that it would publish."""
        source = Source(new_id(), person_id, new_id())
        image = await self.images.put(source, PICTURE)
        return source, change(person_id, image, source.command_id)

    async def there(self, *sources: Source) -> list[bool]:
        return [await self.images.find(source.image_id) is not None for source in sources]

    async def tell(self, person_id: str) -> None:
        """Announce a person's last event to the subscriber."""
        event = (await stream(self.records, person_id))[-1]
        await self.remover.handle(encode_event(event))


@pytest.fixture(params=["gridfs", "cloudinary"])
async def scene(request, store, mongo_client, cloudinary) -> AsyncIterator[Scene]:
    gridfs = GridFsImages(mongo_client, store._db.name)
    cloud = CloudinaryImages(cloudinary.url, f"sweep-{new_id()}")
    chosen = [gridfs, cloud] if request.param == "gridfs" else [cloud, gridfs]
    yield Scene(mongo_client, store, chosen)
    cloudinary.mood = None
    cloud.close()


async def test_a_replaced_image_and_that_of_a_deleted_person_are_removed(scene):
    person = create()
    (one, first), (two, second) = [await scene.stored(person.person_id) for _ in range(2)]
    await run(scene.records, person, first)
    await scene.tell(person.person_id)
    assert await scene.there(one) == [True]
    await run(scene.records, second)
    await scene.tell(person.person_id)
    await run(scene.records, update(person.person_id, address="Calle 1"))
    assert await scene.there(one, two) == [False, True]
    await check_stream(scene.records, person.person_id, 4)
    await run(scene.records, delete(person.person_id))
    await scene.tell(person.person_id)
    await scene.tell(person.person_id)
    assert await scene.there(two) == [False]
    await check_stream(scene.records, person.person_id, 5)


async def test_removal_fails_while_the_store_is_away_so_that_the_event_comes_again(scene, cloudinary):
    person = create()
    one, command = await scene.stored(person.person_id)
    await run(scene.records, person, command, change(person.person_id))

    def away(_content):
        raise ConnectionAbortedError

    cloudinary.mood = away
    with pytest.raises(ImagesUnavailable):
        await scene.tell(person.person_id)
    cloudinary.mood = None
    await scene.tell(person.person_id)
    assert await scene.there(one) == [False]


async def test_after_a_crash_at_any_step_two_sweeps_leave_what_people_have_and_nothing_else(scene):
    keeper, replacer, leaver, nobody = create(), create(), create(), new_id()
    people = [
        keeper.person_id,
        replacer.person_id,
        replacer.person_id,
        leaver.person_id,
        nobody,
        keeper.person_id,
    ]
    made = [await scene.stored(person_id) for person_id in people]
    (kept, a), (old, b), (new, c), (left, d), (refused, e), (unpublished, _) = made
    await run(scene.records, keeper, replacer, leaver, a, b, c, d, e)
    # The command of the last one was not published; nobody followed the events; a projection is missing.
    await run(scene.records, delete(leaver.person_id), project=False)
    late, late_command = await scene.stored(keeper.person_id)
    await scene.sweep.run(timedelta(hours=1))
    everything = (kept, old, new, left, refused, unpublished, late)
    assert await scene.there(*everything) == [True] * 7

    dry = await scene.sweep.run(OLDER, dry=True)
    assert await scene.there(*everything) == [True] * 7
    swept = await scene.sweep.run(OLDER)
    assert swept == dry
    assert (swept.wanted >= 2, swept.removed >= 3, swept.refused >= 2) == (True, True, True)
    # What was not decided is refused first: its command may still be on its way.
    assert await scene.there(*everything) == [True, False, True, False, False, True, True]
    decided = await run(scene.records, late_command)
    assert isinstance(decided.rejections[late_command.command_id], ImageExpired)

    await scene.sweep.run(OLDER)
    assert await scene.there(*everything) == [True, False, True, False, False, False, False]
    again = await scene.sweep.run(OLDER)
    assert (again.refused, again.removed, again.waiting) == (0, 0, 0)


async def test_a_picture_that_is_half_there_is_swept(store, mongo_client):
    images = GridFsImages(mongo_client, store._db.name)
    sweep = ImageSweep(mongo_client, store._db.name, keys_of(store), [images], store, later)
    source = Source(new_id(), new_id(), new_id())
    await images.put(source, PICTURE)
    name = image_name(source.image_id)
    await images._chunks.delete_many({"files_id": name})
    await images._files.delete_one({"_id": name})
    for _ in range(2):
        await sweep.run(OLDER)
    assert await images._files.count_documents({"_id": {"$regex": f"^{name}"}}) == 0


async def test_a_refused_image_is_recorded_like_any_other_refusal(scene):
    person = create()
    await run(scene.records, person)
    source, command = await scene.stored(person.person_id)
    await scene.sweep.run(OLDER)
    (entry,) = await scene.records._rejections.find({"person_id": person.person_id}).to_list(None)
    assert (entry["command_id"], entry["code"], entry["type"]) == (
        source.command_id,
        "image-expired",
        "person.change_image",
    )
    decided = await run(scene.records, command, change(new_id()))
    kinds = [type(rejection) for rejection in decided.rejections.values()]
    assert kinds == [ImageExpired, PersonNotFound]


def test_the_verb_sweeps_and_counts(system, stores, driver, monkeypatch, capsys):
    monkeypatch.setenv("ROLLCALL_MONGO_URI", system.mongo.uri)
    monkeypatch.setenv("ROLLCALL_MONGO_DB", stores[driver]._db.name)
    monkeypatch.setenv("ROLLCALL_MONGO_DRIVER", driver)
    monkeypatch.setenv("ROLLCALL_KEK_FILE", str(system.kek_file))
    assert main(["images", "sweep", "--dry-run", "--older-than", "1h"]) == 0
    assert capsys.readouterr().out == "0 wanted, 0 unknown, 0 waiting, 0 refused, 0 removed\n"


NOW = datetime.now(UTC)
IMAGE = FoundImage("i", "p", "c", NOW, "jpg", 1, 1, 1)


@pytest.mark.parametrize(
    ("known", "verdict"),
    [
        (Known(current={"i"}, in_log={"c", "i"}), Verdict.WANTED),
        (Known(current={"j"}, in_log={"c", "i", "j"}), Verdict.REMOVED),
        (Known(in_log={"c"}), Verdict.REMOVED),
        (Known(in_log={"c"}, refused={"c": NOW}), Verdict.REMOVED),
        (Known(refused={"c": NOW - timedelta(seconds=1)}), Verdict.REMOVED),
        (Known(refused={"c": NOW}), Verdict.WAITING),
        (Known(refused={"d": NOW}), Verdict.REFUSED),
        (Known(), Verdict.REFUSED),
    ],
)
def test_what_becomes_of_an_image(known, verdict):
    assert judge(IMAGE, known, NOW) is verdict


def test_an_image_that_does_not_say_whose_it_is_is_left_alone():
    assert judge(FoundImage("i", "", "", NOW, "jpg", 1, 1, 1), Known(), NOW) is Verdict.UNKNOWN


def test_pictures_differ():
    assert PICTURE.digest != picture_of(saved(halves(10, 10), "PNG")).digest
