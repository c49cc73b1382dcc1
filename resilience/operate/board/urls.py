"""The addresses of the board, below that of the admin."""

from django.urls import path

from resilience.operate.board import views

app_name = "resilience-board"
urlpatterns = [
    path("", views.board, name="board"),
    path("state.json", views.board_state, name="state"),
    path("enter", views.enter, name="enter"),
    path("leave", views.leave, name="leave"),
]
