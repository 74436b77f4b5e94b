"""Where people's images are kept: one seam, and behind it GridFS or Cloudinary."""

from service_kit.images.model import FoundImage, ImageStore, Picture, Source, Upload
from service_kit.images.sealing import image_name
from service_kit.images.secret import ImageSecret, Ticket

__all__ = ["FoundImage", "ImageSecret", "ImageStore", "Picture", "Source", "Ticket", "Upload", "image_name"]
