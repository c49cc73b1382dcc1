"""The addresses of the catalogue, with or without a trailing slash."""

from django.urls import re_path
from rest_framework.routers import SimpleRouter

from learn.rating_view import RatingView
from learn.views import CategoryViewSet, CourseViewSet, FieldViewSet

router = SimpleRouter()
# Both forms answer, since a redirect from one to the other would lose the body of a POST.
router.trailing_slash = "/?"
router.register("categories", CategoryViewSet, basename="category")
router.register("fields", FieldViewSet, basename="field")
router.register("courses", CourseViewSet, basename="course")

urlpatterns = [
    re_path(r"^courses/(?P<slug>[^/.]+)/rating/?$", RatingView.as_view(), name="course-rating"),
    *router.urls,
]
