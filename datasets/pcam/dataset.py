"""PatchCamelyon, the six official files, downloaded and checked as torchvision does."""

from pathlib import Path

from torchvision.datasets import PCAM
from torchvision.datasets.utils import download_file_from_google_drive

from gcnnbench.data.parts import Part
from gcnnbench.data.pcam import FOLDER, read_patches, unpack_archives
from gcnnbench.errors import UserError


def load(folder: Path) -> dict[str, Part]:
    """The three parts in the files' order: `train`, `validation` and `test`, mapped from their files.

    Args:
        folder: the data directory, in which the unpacked files stand below `pcam`.

    Returns:
        Images uint8 (images, 3, 96, 96) and labels int64 (images,), 1 for tumour, by part.

    Raises:
        UserError: the files hold something else, the sample of PCam for instance.
    """
    return read_patches(folder, "PCam")


def fetch(folder: Path) -> None:
    """Unpack the archives that are there and right, and download the others from Google Drive.

    Archives are checked by the md5 that torchvision knows before they are unpacked; whole ones are not downloaded
    again.

    Args:
        folder: the data directory.

    Raises:
        UserError: Google Drive refused, as it does when a file's daily quota is used up, or sent something else.
    """
    sources = {f"{name}.gz": (drive, md5) for split in PCAM._FILES.values() for name, drive, md5 in split.values()}
    archives = {name: md5 for name, (_, md5) in sources.items()}
    for name in unpack_archives(folder, archives):
        drive, md5 = sources[name]
        try:
            download_file_from_google_drive(drive, str(folder / FOLDER), filename=name, md5=md5)
        except Exception as error:  # gdown and requests raise whatever they like
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(
                f"{name}: {reason}; where this is Google Drive's daily quota (it then sends a page instead of the "
                "file), the same command a day later goes on with what is missing"
            ) from error
        unpack_archives(folder, {name: md5})
